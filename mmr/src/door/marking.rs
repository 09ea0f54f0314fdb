//! DSCP on TCP sockets: a property of the socket, inherited by what a listener accepts.

use socket2::SockRef;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use wire::mark::Dscp;

/// Marks everything a TCP socket sends from now on, on the IP version of `address` (either end's).
/// The kernel keeps the ECN bits to itself on TCP.
pub fn mark(socket: &impl AsFd, address: IpAddr, dscp: Dscp) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let byte = u32::from(dscp.traffic_class());
    match address {
        IpAddr::V4(_) => socket.set_tos_v4(byte),
        IpAddr::V6(_) => socket.set_tclass_v6(byte),
    }
}
