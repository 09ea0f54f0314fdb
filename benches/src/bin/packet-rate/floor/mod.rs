//! The floors: the cheapest forwarders anyone could write with plain sockets. They parse nothing: where a datagram
//! goes is looked up by its source port alone.
//!
//! `plain` is recvmmsg → sendmmsg on one unconnected socket; `gso` also takes trains as they come (UDP GRO) and sends
//! them as they are (UDP GSO), one per destination. Both block in recvmmsg, which is the cheapest way to wait.

mod batch;

use crate::gathering::Routes;
use batch::{Batch, Receiver, SendMemory};
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use socket2::SockAddr;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// As much as the router's own sockets get.
const BUFFER_BYTES: usize = 4 << 20;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Floor {
    /// Datagram by datagram.
    Plain,
    /// In trains.
    Gso,
}

/// What a floor is told on its standard input, as one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Where it listens; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Source ports, each with its destinations.
    pub(crate) routes: Routes,
}

/// A socket as a floor wants it.
pub(crate) fn open(listen: SocketAddr, floor: Floor) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen)?;
    // Beyond the host's maximum only root may go; the others get that.
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES)?;
    }
    if setsockopt(&socket, sockopt::SndBufForce, &BUFFER_BYTES).is_err() {
        setsockopt(&socket, sockopt::SndBuf, &BUFFER_BYTES)?;
    }
    if floor == Floor::Gso {
        setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    }
    Ok(socket)
}

/// Forwards until the socket fails: for ever.
pub(crate) fn forward(socket: &UdpSocket, floor: Floor, table: &Table) -> io::Result<()> {
    let mut destinations = vec![Vec::<SockAddr>::new(); usize::from(u16::MAX) + 1];
    for (port, addresses) in &table.routes {
        destinations[usize::from(*port)] =
            addresses.iter().map(|address| (*address).into()).collect();
    }
    let mut receiver = Receiver::new(floor);
    let mut memory = SendMemory::new();
    loop {
        let count = receiver.receive(socket)?;
        let mut batch = Batch::begin(&mut memory, socket);
        for index in 0..count {
            let datagram = receiver.datagram(index);
            for destination in &destinations[usize::from(datagram.source_port)] {
                batch.push(&datagram, destination);
            }
        }
        batch.flush();
    }
}
