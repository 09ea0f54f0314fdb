//! Whether io_uring does here what the backend needs: tried out, not guessed from the kernel's
//! version.

use super::UringNetwork;
use crate::network::inbox::Inbox;
use crate::network::{Network, NetworkConfig};
use nix::sys::eventfd::{EfdFlags, EventFd};
use router::{DropCounters, LinkChange, Outbox, Payload, Source, Transmit};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use wire::Kind;
use wire::mark::Marks;

/// Why io_uring is not used. Names the likely cause and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A seccomp profile or a sysctl stands before it.
    #[error(
        "io_uring is forbidden here ({0}): allow io_uring_setup, io_uring_enter and \
         io_uring_register in the container's seccomp profile, and set kernel.io_uring_disabled = 0"
    )]
    Forbidden(io::Error),
    /// The kernel does not have all of it.
    #[error("io_uring is too old here ({0}): Linux 6.1 or later is needed")]
    TooOld(io::Error),
    /// The limit of locked memory does not hold another ring.
    #[error(
        "io_uring gets no memory here ({0}): raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=), which \
         all rings of a user share"
    )]
    NoMemory(io::Error),
    /// It is there and did not do what it should.
    #[error("io_uring does not work here: {0}")]
    Broken(io::Error),
}

impl ProbeError {
    /// The kind of the error behind it.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Forbidden(_) => io::ErrorKind::PermissionDenied,
            Self::TooOld(_) => io::ErrorKind::Unsupported,
            Self::NoMemory(error) | Self::Broken(error) => error.kind(),
        }
    }

    /// What stands behind an error of the ring's.
    pub(super) fn of(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden(error),
            Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP) => Self::TooOld(error),
            Some(libc::ENOMEM) => Self::NoMemory(error),
            _ => Self::Broken(error),
        }
    }
}

const MESSAGE: &[u8] = b"does a datagram come through?";
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends datagrams over loopback through a backend of its own, and back.
///
/// # Errors
/// It does not work; says why, and what to do about it.
pub fn probe() -> Result<(), ProbeError> {
    try_out().map_err(ProbeError::of)
}

fn try_out() -> io::Result<()> {
    let (socket, peer) = (loopback()?, loopback()?);
    peer.set_read_timeout(Some(PATIENCE))?;
    let address = socket.local_addr()?;
    let waker = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?.into();
    let config = NetworkConfig { sockets: vec![socket], waker, links: 1, marks: Marks::OFF };
    let mut inbox = Inbox::new(4, 4_096);
    let mut network = UringNetwork::new(config, inbox.datagram_slots())?;
    if !network.engine.knows_operations()? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // Twice, because the second one must come by the same reception as the first.
    for _ in 0..2 {
        peer.send_to(MESSAGE, address)?;
        let deadline = Instant::now() + PATIENCE;
        while inbox.is_empty() && Instant::now() < deadline {
            network.receive(deadline, &mut inbox)?;
        }
        echo(&mut network, &inbox)?;
        inbox.recycle();
        let mut back = [0; 64];
        let len = peer.recv(&mut back)?;
        if &back[..len] != MESSAGE {
            return Err(io::Error::other("another datagram came back than was sent"));
        }
    }
    Ok(())
}

/// Sends the only arrival back to where it came from.
fn echo(network: &mut UringNetwork, inbox: &Inbox) -> io::Result<()> {
    if inbox.len() != 1 {
        return Err(io::Error::other("a datagram over loopback was not received"));
    }
    let arrival = inbox.arrival(0);
    let (link, kind) = (0, Kind::Audio);
    let bind = LinkChange::Bind { link, kind, path: arrival.path };
    network.apply(bind).map_err(io::Error::other)?;
    let len = u32::try_from(arrival.bytes.len()).unwrap_or(0);
    let source = Source::Slot(arrival.slot);
    let payload = Payload { source, offset: arrival.offset, len, segment: arrival.segment };
    let mut outbox = Outbox::new(0);
    let queued = outbox.reply(Transmit { link, kind, payload });
    queued.map_err(|_full| io::Error::other("an empty outbox is full"))?;
    let mut drops = DropCounters::default();
    network.transmit(&outbox, inbox, &mut drops);
    match drops.total() {
        0 => Ok(()),
        _ => Err(io::Error::other("a datagram over loopback was not sent")),
    }
}

/// A socket on loopback, IPv4 or, where there is none, IPv6.
fn loopback() -> io::Result<UdpSocket> {
    let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
    UdpSocket::bind(v4).or_else(|_no_v4| UdpSocket::bind(v6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_names_its_remedy() {
        for (errno, remedy) in [
            (libc::EPERM, "seccomp"),
            (libc::ENOSYS, "Linux 6.1"),
            (libc::EINVAL, "Linux 6.1"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
        ] {
            let text = ProbeError::of(io::Error::from_raw_os_error(errno)).to_string();
            assert!(text.contains(remedy), "{text}");
        }
    }
}
