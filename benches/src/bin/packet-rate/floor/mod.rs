//! The floors: the cheapest forwarders anyone could write with plain sockets. They parse nothing: where a datagram
//! goes is looked up by its source port alone.
//!
//! `plain` is recvmmsg → sendmmsg on one unconnected socket; `gso` also takes trains as they come (UDP GRO) and sends
//! them as they are (UDP GSO), one per destination. Both block in recvmmsg, which is the cheapest way to wait.

mod batch;

use crate::strangers::Routes;
use batch::{Batch, Receiver, SendMemory};
use mmr::network::sockets::never_fragment;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use socket2::{SockAddr, SockRef};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// As much as the router's own sockets get.
const BUFFER_BYTES: usize = 4 << 20;

/// Which. All but the first two change one thing of the first, to show what it costs or brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Floor {
    /// Datagram by datagram.
    Plain,
    /// In trains.
    Gso,
    /// A system call for each datagram sent.
    One,
    /// A control message with a DSCP mark for each.
    Marked,
    /// "Don't fragment", and no path's MTU looked up.
    Whole,
    /// Like `One`, on a connected socket for each destination: its route is cached.
    Connected,
}

impl Floor {
    /// How its child is told.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gso => "gso",
            Self::One => "one",
            Self::Marked => "marked",
            Self::Whole => "whole",
            Self::Connected => "connected",
        }
    }
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
    match floor {
        Floor::Gso => setsockopt(&socket, sockopt::UdpGroSegment, &true)?,
        Floor::Whole => never_fragment(&SockRef::from(&socket))?,
        _ => {}
    }
    Ok(socket)
}

/// Somebody a floor sends to.
struct Destination {
    address: SockAddr,
    /// A socket for it alone.
    connected: Option<UdpSocket>,
}

impl Destination {
    fn new(address: SocketAddr, from: &UdpSocket, floor: Floor) -> io::Result<Self> {
        let connected = match floor {
            Floor::Connected => Some(connect(from.local_addr()?.ip(), address)?),
            _ => None,
        };
        Ok(Self { address: address.into(), connected })
    }
}

/// From a port of its own: nobody in the bench looks where media comes from.
fn connect(from: IpAddr, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect(to)?;
    setsockopt(&socket, sockopt::SndBuf, &BUFFER_BYTES)?;
    Ok(socket)
}

/// Forwards until the socket fails: for ever.
pub(crate) fn forward(socket: &UdpSocket, floor: Floor, table: &Table) -> io::Result<()> {
    let mut destinations = Vec::from_iter((0..=u16::MAX).map(|_| Vec::new()));
    for (port, addresses) in &table.routes {
        let all = addresses.iter().map(|address| Destination::new(*address, socket, floor));
        destinations[usize::from(*port)] = all.collect::<io::Result<Vec<_>>>()?;
    }
    let mut receiver = Receiver::new(floor);
    let mut memory = SendMemory::new(floor);
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
