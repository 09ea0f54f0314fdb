//! The data plane's own numbers. Dense indexes, so that tables are arrays; generations, so that a number that was
//! given away again is not mistaken for its predecessor.

use std::net::SocketAddr;
use wire::Transport;

/// A link, on every worker the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId {
    /// Place in the tables, below `limits::LINKS_MAX`.
    pub index: u32,
    /// Which use of that place.
    pub generation: u32,
}

/// A layer, on every worker the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerId {
    /// Place in the tables, below `limits::LAYERS_MAX`.
    pub index: u32,
    /// Which use of that place.
    pub generation: u32,
}

/// A meeting's number in this run; never given away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeetingId(pub u64);

/// A worker, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u8);

/// A TCP or TLS connection; never given away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// A receive buffer of the worker's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId(pub u16);

/// Where packets come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Datagrams between one of our sockets and an address.
    Udp {
        /// Which of the worker's sockets (one per listen address).
        socket: u8,
        /// The peer. IPv4-mapped IPv6 addresses never appear.
        remote: SocketAddr,
    },
    /// A connection on the stream thread.
    Stream {
        /// Which.
        connection: ConnectionId,
        /// TCP or TLS.
        transport: Transport,
        /// The peer, as XOR-MAPPED-ADDRESS tells it.
        remote: SocketAddr,
    },
}

impl Path {
    /// UDP, TCP or TLS.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Udp { .. } => Transport::Udp,
            Self::Stream { transport, .. } => *transport,
        }
    }
    /// The peer's address.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Udp { remote, .. } | Self::Stream { remote, .. } => *remote,
        }
    }
}
