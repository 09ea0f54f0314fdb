//! The floors: the cheapest forwarders anyone could write with plain sockets. They parse nothing: where a datagram
//! goes is looked up by its source port alone.
//!
//! `plain` is recvmmsg → sendmmsg on one unconnected socket; `gso` also takes trains as they come (UDP GRO) and sends
//! them as they are (UDP GSO), one per destination. Both block in recvmmsg, which is the cheapest way to wait.

mod batch;

use crate::error::BenchError;
use batch::{Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, UdpSocket};

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
    pub(crate) routes: Vec<(u16, Vec<SocketAddr>)>,
}

/// Runs as a child process: reads its table, says its address on standard output, and forwards until it is killed.
///
/// # Errors
/// No table, or no socket.
pub(crate) fn run(floor: Floor) -> Result<(), BenchError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|cause| failed(&cause))?;
    let table: Table =
        serde_json::from_str(&line).map_err(|cause| BenchError::part("floor", cause))?;
    let socket = open(table.listen, floor).map_err(|cause| failed(&cause))?;
    let address = socket.local_addr().map_err(|cause| failed(&cause))?;
    println!("{address}");
    io::stdout().flush().map_err(|cause| failed(&cause))?;
    forward(&socket, floor, &table).map_err(|cause| failed(&cause))
}

/// A socket as a floor wants it.
pub(crate) fn open(listen: SocketAddr, floor: Floor) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen)?;
    // As much as the router asks for.
    for option in [nix::sys::socket::sockopt::RcvBufForce, nix::sys::socket::sockopt::RcvBufForce] {
        let _ = nix::sys::socket::setsockopt(&socket, option, &(4 << 20));
    }
    let _ =
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::SndBufForce, &(4 << 20));
    if floor == Floor::Gso {
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::UdpGroSegment, &true)?;
    }
    Ok(socket)
}

/// Forwards until the socket fails: for ever.
pub(crate) fn forward(socket: &UdpSocket, floor: Floor, table: &Table) -> io::Result<()> {
    let mut destinations = vec![Vec::new(); usize::from(u16::MAX) + 1];
    for (port, addresses) in &table.routes {
        destinations[usize::from(*port)] =
            addresses.iter().map(|address| (*address).into()).collect();
    }
    let mut receiver = Receiver::new(floor);
    let mut sender = Sender::new();
    loop {
        let count = receiver.receive(socket)?;
        for index in 0..count {
            let datagram = receiver.datagram(index);
            for destination in &destinations[usize::from(datagram.source_port)] {
                if sender.is_full() {
                    sender.flush(socket);
                }
                sender.push(&datagram, destination);
            }
        }
        sender.flush(socket);
    }
}

fn failed(cause: &io::Error) -> BenchError {
    BenchError::part("floor", cause)
}
