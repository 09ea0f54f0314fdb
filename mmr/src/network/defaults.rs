//! What packets get from their socket: a mark or a segment size a socket is set to costs its packets nothing, while a
//! control message costs each send, and io_uring its cheapest way to send.
//!
//! A worker has one socket for all kinds, so it is set anew when many packets alike are about to leave; a packet that
//! wants something else brings it along. What is on the wire never depends on which of the two it was.

use nix::sys::socket::{setsockopt, sockopt};
use std::net::{SocketAddr, UdpSocket};

/// Setting a socket takes up to two system calls, and one for what waits to be sent before it; so many packets alike pay
/// for them.
pub(super) const RUN_MIN: usize = 16;

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// The IPv4 TOS or IPv6 traffic class byte.
    pub(super) class: u8,
    /// Size of each packet of a train but the last; 0 sends one packet.
    pub(super) segment: u16,
}

/// By socket: how messages are sent that bring nothing along.
pub(super) struct Defaults(Box<[Default]>);

#[derive(Clone, Copy)]
struct Default {
    v6: bool,
    manner: Manner,
    /// It refused a change, so it is not asked again.
    fixed: bool,
}

impl Defaults {
    /// Fresh sockets mark nothing, and send packets.
    pub(super) fn new(sockets: &[SocketAddr]) -> Self {
        let manner = Manner { class: 0, segment: 0 };
        let fresh = |address: &SocketAddr| Default { v6: address.is_ipv6(), manner, fixed: false };
        Self(sockets.iter().map(fresh).collect())
    }

    pub(super) fn of(&self, socket: u8) -> Manner {
        self.0[usize::from(socket)].manner
    }

    /// Whether setting it would change anything.
    pub(super) fn may_become(&self, socket: u8, wanted: Manner) -> bool {
        let Default { manner, fixed, .. } = self.0[usize::from(socket)];
        manner != wanted && !fixed
    }

    /// Sets a socket, of which nothing may be waiting to be sent. Where it refuses it stays as it is: its packets bring
    /// along what they want.
    pub(super) fn set(&mut self, number: u8, socket: &UdpSocket, wanted: Manner) {
        let Default { v6, manner, fixed } = &mut self.0[usize::from(number)];
        if manner.class != wanted.class {
            match set_class(socket, *v6, wanted.class) {
                Ok(()) => manner.class = wanted.class,
                Err(_) => *fixed = true,
            }
        }
        if manner.segment != wanted.segment {
            match setsockopt(socket, sockopt::UdpGsoSegment, &wanted.segment.into()) {
                Ok(()) => manner.segment = wanted.segment,
                Err(_) => *fixed = true,
            }
        }
    }
}

fn set_class(socket: &UdpSocket, v6: bool, class: u8) -> nix::Result<()> {
    let class = i32::from(class);
    match v6 {
        false => setsockopt(socket, sockopt::Ipv4Tos, &class),
        true => setsockopt(socket, sockopt::Ipv6TClass, &class),
    }
}
