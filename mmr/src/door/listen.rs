//! Listening sockets: bound before the thread starts, so that a bad address is an error of the
//! start.

use super::limits::BACKLOG;
use super::marking::mark;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use wire::mark::Marks;

/// An address that can't be listened on: which, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on TCP {address}: {cause}. {remedy}")]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    /// What the kernel said.
    pub cause: io::Error,
    /// What to do.
    pub remedy: String,
}

/// Listens on `address`, with control's mark on everything a connection sends before its kind is
/// known: the SYN-ACK and the TLS handshake take the listener's mark.
pub(super) fn listen(address: SocketAddr, marks: Marks) -> Result<TcpListener, BindError> {
    try_listen(address, marks).map_err(|cause| BindError {
        address,
        remedy: remedy(address, &cause),
        cause,
    })
}

fn try_listen(address: SocketAddr, marks: Marks) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket per IP version: DSCP is set per version, and addresses compare as they are.
        socket.set_only_v6(true)?;
    }
    // Connections of a process that ended may linger in TIME_WAIT on the port; a listener in use is
    // still refused.
    socket.set_reuse_address(true)?;
    mark(&socket, address.ip(), marks.control)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn remedy(address: SocketAddr, cause: &io::Error) -> String {
    let port = address.port();
    match cause.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Another process holds the port, perhaps another mmr or a web server: find it with \
             `ss -ltnp 'sport = :{port}'`, then stop it or choose another port."
        ),
        io::ErrorKind::PermissionDenied => format!(
            "Ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities, else \
             `setcap cap_net_bind_service=+ep` on the binary) or \
             `sysctl net.ipv4.ip_unprivileged_port_start={port}`; or choose another port."
        ),
        io::ErrorKind::AddrNotAvailable => {
            "The address is on no interface of this host: see `ip address`, or listen on 0.0.0.0 \
             or [::]."
                .to_owned()
        }
        _ if cause.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            "This host has IPv6 switched off: leave the address out.".to_owned()
        }
        _ => "Check the address in the configuration.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(errno: i32, expected: Expect) {
        let address = SocketAddr::from(([0, 0, 0, 0], 443));
        let cause = io::Error::from_raw_os_error(errno);
        expected.assert_eq(&remedy(address, &cause));
    }

    #[test]
    fn a_refused_port_is_met_with_what_allows_it() {
        check(
            libc::EACCES,
            expect![
                "Ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities, else `setcap cap_net_bind_service=+ep` on the binary) or `sysctl net.ipv4.ip_unprivileged_port_start=443`; or choose another port."
            ],
        );
    }

    #[test]
    fn a_missing_ip_version_is_named() {
        check(
            libc::EAFNOSUPPORT,
            expect!["This host has IPv6 switched off: leave the address out."],
        );
    }
}
