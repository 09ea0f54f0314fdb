//! The values of the tables, byte for byte as mmr/bpf/express.c declares them. Numbers are the host's, addresses and
//! ports the network's.

use super::limits::CHUNK;
use std::net::{IpAddr, SocketAddr};
use wire::{Kind, Ssrc};

/// `struct listen_key`.
pub(super) type ListenKey = [u8; 20];
/// `struct layer_key`.
pub(super) type LayerKey = [u8; 24];
/// `struct layer`.
pub(super) type LayerValue = [u8; 48];
/// `struct chunk`.
pub(super) type ChunkValue = [u32; CHUNK + 1];
/// `struct destination`.
pub(super) type DestinationValue = [u8; 72];
/// `struct tally`.
pub(super) type TallyValue = [u64; 3];

/// By what a packet's layer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Which of the router's sockets it came to.
    pub socket: u8,
    /// Its publisher.
    pub source: SocketAddr,
    /// Its label.
    pub ssrc: Ssrc,
}

/// A layer and where its run of destinations begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What its packets are marked with.
    pub generation: u32,
    /// First chunk of its run.
    pub chunk: u32,
    /// Destinations in its run.
    pub count: u32,
    /// Place in the router's tables.
    pub index: u32,
    /// What it may take.
    pub rate: router::Rate,
    /// The largest IP packet that every destination's device takes.
    pub size_max: u32,
    /// Of all its packets.
    pub kind: Kind,
}

/// Where a link's packets go, down to the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its link's place in the router's tables.
    pub index: u32,
    /// The device they leave by.
    pub device: u32,
    /// Of the next hop.
    pub to_mac: [u8; 6],
    /// Of the device.
    pub from_mac: [u8; 6],
    /// Our address and port.
    pub source: SocketAddr,
    /// The link's.
    pub remote: SocketAddr,
    /// The IPv4 TOS or IPv6 traffic class byte.
    pub traffic_class: u8,
}

pub(super) fn listen_key(address: SocketAddr) -> ListenKey {
    let mut key = [0; 20];
    key[..16].copy_from_slice(&sixteen(address.ip()));
    key[16..18].copy_from_slice(&address.port().to_be_bytes());
    key
}

impl Label {
    pub(super) fn key(&self) -> LayerKey {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&sixteen(self.source.ip()));
        key[16..20].copy_from_slice(&self.ssrc.0.to_be_bytes());
        key[20..22].copy_from_slice(&self.source.port().to_be_bytes());
        key[22..].copy_from_slice(&u16::from(self.socket).to_ne_bytes());
        key
    }
}

impl Layer {
    pub(super) fn value(&self, ssrc: Ssrc) -> LayerValue {
        let mut value = [0; 48];
        let kind = u32::try_from(self.kind.index()).unwrap_or(0);
        let numbers = [self.generation, self.chunk, self.count, self.index, kind];
        for (place, number) in value[4..].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        value[24..32].copy_from_slice(&self.rate.price_256.to_ne_bytes());
        value[32..40].copy_from_slice(&self.rate.burst_ns.to_ne_bytes());
        value[40..44].copy_from_slice(&self.size_max.to_ne_bytes());
        for end in [0, 44] {
            value[end..end + 4].copy_from_slice(&ssrc.0.to_be_bytes());
        }
        value
    }
}

impl Destination {
    pub(super) fn value(&self, number: u32) -> DestinationValue {
        let mut value = [0; 72];
        value[4..8].copy_from_slice(&self.device.to_ne_bytes());
        value[8..12].copy_from_slice(&self.index.to_ne_bytes());
        value[12..18].copy_from_slice(&self.to_mac);
        value[18..24].copy_from_slice(&self.from_mac);
        value[24..26].copy_from_slice(&self.source.port().to_be_bytes());
        value[26..28].copy_from_slice(&self.remote.port().to_be_bytes());
        value[28..44].copy_from_slice(&sixteen(self.source.ip()));
        value[44..60].copy_from_slice(&sixteen(self.remote.ip()));
        value[60..64].copy_from_slice(&sum(self.source.ip(), self.remote.ip()).to_ne_bytes());
        value[64] = self.traffic_class;
        value[65] = u8::from(self.remote.is_ipv6());
        for end in [0, 68] {
            value[end..end + 4].copy_from_slice(&number.to_ne_bytes());
        }
        value
    }
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The ones' complement sum of two addresses as they stand in memory (RFC 1071 §2 on byte order).
fn sum(source: IpAddr, remote: IpAddr) -> u32 {
    let words = |address| match address {
        IpAddr::V4(v4) => std::net::Ipv4Addr::octets(&v4).to_vec(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::octets(&v6).to_vec(),
    };
    let bytes = [words(source), words(remote)].concat();
    let mut sum: u32 =
        bytes.chunks_exact(2).map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}
