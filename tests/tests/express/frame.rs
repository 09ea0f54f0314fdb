//! Ethernet frames made by hand, right or wrong, sent as they are.

use crate::rig::Rig;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, sendto, socket,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use tests::Wire;

/// Where things are in a frame with IPv4 and UDP.
pub(crate) const IP: usize = 14;
pub(crate) const UDP: usize = 34;
pub(crate) const PAYLOAD: usize = 42;

/// A frame of the publisher's with this payload.
pub(crate) fn frame(rig: &Rig, payload: &[u8]) -> Vec<u8> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) =
        (rig.publisher.local_addr().unwrap(), rig.router.local_addr().unwrap())
    else {
        panic!("frames are IPv4");
    };
    let udp_len = u16::try_from(payload.len() + 8).unwrap();
    // Back the way the copies come.
    let way = rig.destination(0);
    let mut frame = [way.from_mac, way.to_mac].concat();
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((udp_len + 20).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
    frame.extend(from.ip().octets());
    frame.extend(to.ip().octets());
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    mend(&mut frame);
    frame
}

/// The same over IPv6, with its checksum.
pub(crate) fn frame_v6(rig: &Rig, payload: &[u8]) -> Vec<u8> {
    let (SocketAddr::V6(from), SocketAddr::V6(to)) =
        (rig.publisher.local_addr().unwrap(), rig.router.local_addr().unwrap())
    else {
        panic!("a frame of IPv6 between addresses of IPv4");
    };
    let udp_len = u16::try_from(payload.len() + 8).unwrap();
    let way = rig.destination(0);
    let addresses = [from.ip().octets(), to.ip().octets()].concat();
    let mut datagram = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    datagram.extend(udp_len.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    // RFC 8200 §8.1: as with IPv4.
    let pseudo = addresses.chunks(2).map(word).sum::<u32>() + 17 + u32::from(udp_len);
    let sum = checksum(&datagram, pseudo);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [way.from_mac, way.to_mac].concat();
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend(udp_len.to_be_bytes());
    frame.extend([17, 64]);
    frame.extend(addresses);
    frame.extend(datagram);
    frame
}

/// Puts both checksums right.
pub(crate) fn mend(frame: &mut [u8]) {
    frame[IP + 10..IP + 12].fill(0);
    let sum = checksum(&frame[IP..UDP], 0);
    frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
    frame[UDP + 6..UDP + 8].fill(0);
    let udp_len = u32::try_from(frame.len() - UDP).unwrap();
    // RFC 768: addresses, protocol and length before the datagram.
    let pseudo = frame[IP + 12..UDP].chunks(2).map(word).sum::<u32>() + 17 + udp_len;
    let sum = checksum(&frame[UDP..], pseudo);
    frame[UDP + 6..UDP + 8].copy_from_slice(&sum.to_be_bytes());
}

fn checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start + bytes.chunks(2).map(word).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

fn word(pair: &[u8]) -> u32 {
    u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))
}

/// The wire's right end, below IP.
pub(crate) struct Card {
    socket: OwnedFd,
    address: LinkAddr,
}

impl Card {
    pub(crate) fn of(rig: &Rig) -> Self {
        rig.wire.right.run(|| {
            let mut all = getifaddrs().unwrap().filter(|it| it.interface_name == Wire::INTERFACE);
            let address = all.find_map(|it| it.address?.as_link_addr().copied()).unwrap();
            let flags = SockFlag::empty();
            let all = None::<SockProtocol>;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
            Self { socket, address }
        })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let fd = self.socket.as_raw_fd();
        assert_eq!(sendto(fd, frame, &self.address, MsgFlags::empty()), Ok(frame.len()));
    }
}
