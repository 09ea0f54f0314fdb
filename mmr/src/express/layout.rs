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
pub(super) type LayerValue = [u8; 40];
/// `struct chunk`.
pub(super) type ChunkValue = [u32; CHUNK + 1];
/// `struct destination`.
pub(super) type DestinationValue = [u8; 64];
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
    pub(super) fn value(&self) -> LayerValue {
        let mut value = [0; 40];
        let numbers = [self.generation, self.chunk, self.count, self.index];
        for (place, number) in value.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        value[16..24].copy_from_slice(&self.rate.price_256.to_ne_bytes());
        value[24..32].copy_from_slice(&self.rate.burst_ns.to_ne_bytes());
        value[32..36].copy_from_slice(&self.size_max.to_ne_bytes());
        let kind = u32::try_from(self.kind.index()).unwrap_or(0);
        value[36..].copy_from_slice(&kind.to_ne_bytes());
        value
    }
}

impl Destination {
    pub(super) fn value(&self) -> DestinationValue {
        let mut value = [0; 64];
        value[..4].copy_from_slice(&self.device.to_ne_bytes());
        value[4..8].copy_from_slice(&self.index.to_ne_bytes());
        value[8..14].copy_from_slice(&self.to_mac);
        value[14..20].copy_from_slice(&self.from_mac);
        value[20..22].copy_from_slice(&self.source.port().to_be_bytes());
        value[22..24].copy_from_slice(&self.remote.port().to_be_bytes());
        value[24..40].copy_from_slice(&sixteen(self.source.ip()));
        value[40..56].copy_from_slice(&sixteen(self.remote.ip()));
        let sum = sum(self.source.ip(), self.remote.ip());
        value[56..60].copy_from_slice(&sum.to_ne_bytes());
        value[60] = self.traffic_class;
        value[61] = u8::from(self.remote.is_ipv6());
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
