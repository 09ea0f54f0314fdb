//! Sockets that listen.

use crate::config::Listen;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Connections the kernel keeps waiting.
const BACKLOG: i32 = 4_096;

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("TCP {address} can't be listened on: {cause}. {remedy}")]
pub struct ListenError {
    address: SocketAddr,
    cause: io::Error,
    remedy: &'static str,
}

/// One socket for each address; with port 0 the first takes a free one and the others the same.
pub(super) fn all(listen: &Listen) -> Result<Vec<TcpListener>, ListenError> {
    let mut port = listen.port;
    let mut listeners = Vec::new();
    for address in &listen.addresses {
        let address = SocketAddr::new(*address, port);
        let listener = bind(address).map_err(|cause| ListenError {
            remedy: match cause.kind() {
                io::ErrorKind::AddrInUse => {
                    "Stop whatever has it (`ss -ltnp`), or give listen.port another."
                }
                io::ErrorKind::PermissionDenied => {
                    "Ports below 1024 need CAP_NET_BIND_SERVICE; or give listen.port another."
                }
                _ => "List addresses of this host in listen.addresses.",
            },
            address,
            cause,
        })?;
        port = listener.local_addr().map_or(port, |address| address.port());
        listeners.push(listener);
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
