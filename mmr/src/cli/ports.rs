//! Which ports `mmr dev` takes: those asked for, or free ones with a word about why.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// A port, and why it is not the usual one.
pub(super) struct Port {
    pub(super) number: u16,
    pub(super) instead: Option<String>,
}

/// What must be free on a port.
#[derive(Clone, Copy)]
pub(super) enum Use {
    UdpAndTcp,
    Tcp,
}

/// The port asked for, whatever comes of it; without one the usual port, or a free one when that
/// can't be had.
pub(super) fn choose(asked: Option<u16>, usual: u16, addresses: &[IpAddr], what: Use) -> Port {
    if let Some(number) = asked {
        return Port { number, instead: None };
    }
    match can_have(addresses, usual, what) {
        Ok(()) => Port { number: usual, instead: None },
        Err(cause) => {
            let number = free(addresses, what).unwrap_or(0);
            let instead = format!("port {usual} can't be had ({cause}), so a free one was taken");
            Port { number, instead: Some(instead) }
        }
    }
}

/// A port that is free for every use on every address right now.
fn free(addresses: &[IpAddr], what: Use) -> Option<u16> {
    let first = *addresses.first()?;
    let candidate = || {
        let socket = bind(SocketAddr::new(first, 0), Type::DGRAM).ok()?;
        socket.local_addr().ok()?.as_socket().map(|address| address.port())
    };
    let mut candidates = std::iter::repeat_with(candidate).take(32).flatten();
    candidates.find(|port| can_have(addresses, *port, what).is_ok())
}

fn can_have(addresses: &[IpAddr], port: u16, what: Use) -> io::Result<()> {
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        bind(address, Type::STREAM)?;
        if matches!(what, Use::UdpAndTcp) {
            bind(address, Type::DGRAM)?;
        }
    }
    Ok(())
}

/// As the daemon will.
fn bind(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(1)?;
    }
    Ok(socket)
}
