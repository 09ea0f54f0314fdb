//! Opens the workers' UDP sockets: one per listen address and worker, sharing their ports.

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// How sockets are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// SO_RCVBUF, in bytes as the operator counts them (the kernel doubles it for its own use).
    pub receive_buffer_bytes: usize,
    /// SO_SNDBUF, likewise.
    pub send_buffer_bytes: usize,
    /// Ask the kernel when it heard each packet; a little dearer, latency then counts the socket's
    /// queue too.
    pub timestamps: bool,
    /// Ask the kernel for each packet's mark, which the express plane sets; needs CAP_NET_ADMIN or CAP_NET_RAW.
    pub marks: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        // 4 MiB is 10 ms of 3.3 Gbit/s: what a worker may be kept from its core without loss.
        Self {
            receive_buffer_bytes: 4 << 20,
            send_buffer_bytes: 4 << 20,
            timestamps: false,
            marks: false,
        }
    }
}

/// A buffer size as asked for and as the kernel granted it, in bytes as the operator counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSize {
    /// Asked for.
    pub requested: usize,
    /// Granted; less when `net.core.rmem_max` or `wmem_max` is lower and CAP_NET_ADMIN is missing.
    pub granted: usize,
}

/// The open sockets of all workers.
#[derive(Debug)]
pub struct Listening {
    /// What they are bound to, in the order asked for, ports filled in.
    pub addresses: Vec<SocketAddr>,
    /// By worker; within one in the order of `addresses`, which is `Path::Udp.socket`.
    pub workers: Vec<Vec<UdpSocket>>,
    /// The least receive buffer of all.
    pub receive_buffer: BufferSize,
    /// The least send buffer of all.
    pub send_buffer: BufferSize,
}

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {address}: {source}")]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// Opens all sockets of all workers before any worker starts, so that a busy port is told at once
/// and the kernel's spread of flows over workers never changes while traffic flows. Port 0: the
/// kernel picks, all workers share it.
///
/// # Errors
/// The first address that could not be bound.
pub fn open(
    listen: &[SocketAddr],
    workers: usize,
    options: &SocketOptions,
) -> Result<Listening, BindError> {
    let mut listening = Listening {
        addresses: Vec::with_capacity(listen.len()),
        workers: (0..workers).map(|_| Vec::with_capacity(listen.len())).collect(),
        receive_buffer: untouched(options.receive_buffer_bytes),
        send_buffer: untouched(options.send_buffer_bytes),
    };
    for &address in listen {
        listening.add(address, options).map_err(|source| BindError { address, source })?;
    }
    Ok(listening)
}

fn untouched(requested: usize) -> BufferSize {
    BufferSize { requested, granted: requested }
}

impl Listening {
    fn add(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<()> {
        let mut bound = address;
        for worker in 0..self.workers.len() {
            let socket = if worker == 0 { bind_first(bound)? } else { bind_further(bound)? };
            self.set_up(&socket, options)?;
            let socket = UdpSocket::from(socket);
            bound = socket.local_addr()?;
            self.workers[worker].push(socket);
        }
        self.addresses.push(bound);
        Ok(())
    }

    fn set_up(&mut self, socket: &Socket, options: &SocketOptions) -> io::Result<()> {
        // Forced sizes need CAP_NET_ADMIN; plain ones are cut down to the host's maximum without an
        // error.
        let (receive, send) = (options.receive_buffer_bytes, options.send_buffer_bytes);
        if setsockopt(socket, sockopt::RcvBufForce, &receive).is_err() {
            socket.set_recv_buffer_size(receive)?;
        }
        if setsockopt(socket, sockopt::SndBufForce, &send).is_err() {
            socket.set_send_buffer_size(send)?;
        }
        // socket(7): the kernel doubles what is set and answers the doubled value.
        self.receive_buffer.narrow(socket.recv_buffer_size()? / 2);
        self.send_buffer.narrow(socket.send_buffer_size()? / 2);
        setsockopt(socket, sockopt::UdpGroSegment, &true)?;
        setsockopt(socket, sockopt::RxqOvfl, &1)?;
        never_fragment(socket)?;
        if options.timestamps {
            setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        }
        if options.marks {
            receive_marks(socket)?;
        }
        Ok(())
    }
}

#[allow(clippy::cast_possible_truncation, reason = "4")]
const INT_LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// Packets leave whole, marked "don't fragment", or not at all; what ICMP says of a path's MTU, which anybody may forge,
/// is not asked (ip(7); RFC 8085 §3.2). It also spares the kernel to number each packet.
///
/// # Errors
/// It is no IP socket.
pub fn never_fragment(socket: &Socket) -> io::Result<()> {
    let (level, option, value) = match socket.domain()? {
        Domain::IPV6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
        _ => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
    };
    set(socket, level, option, value)
}

/// Tells with each packet which mark it bears (socket(7), SO_RCVMARK; Linux 5.19).
///
/// # Errors
/// The kernel is older, or the capability is missing.
pub fn receive_marks(socket: &Socket) -> io::Result<()> {
    // Of the kernel's asm-generic/socket.h; libc does not have it for every target.
    const SO_RCVMARK: libc::c_int = 75;
    set(socket, libc::SOL_SOCKET, SO_RCVMARK, 1)
}

fn set(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value is an int of this function's, and its length is told; the kernel keeps no pointer to it.
    let outcome = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, option, value, INT_LEN)
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl BufferSize {
    fn narrow(&mut self, granted: usize) {
        self.granted = self.granted.min(granted);
    }
}

/// The first socket binds alone, and shares its port only then: so a port another process has is
/// busy even if that process would share it, and port 0 never lands on a port that others share.
fn bind_first(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

fn bind_further(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn workers_share_the_port_the_first_one_got() {
        let listen = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let listening = open(&listen, 3, &SocketOptions::default()).unwrap();
        assert_eq!(listening.workers.len(), 3);
        for sockets in &listening.workers {
            let bound: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap()).collect();
            assert_eq!(bound, listening.addresses);
        }
        assert_ne!(listening.addresses[0].port(), 0);
    }

    #[test]
    fn a_port_of_a_running_router_is_busy() {
        let first = open(&["127.0.0.1:0".parse().unwrap()], 2, &SocketOptions::default()).unwrap();
        let error = open(&first.addresses, 2, &SocketOptions::default()).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.address, first.addresses[0]);
    }

    #[test]
    fn granted_sizes_are_what_the_sockets_have() {
        let options = SocketOptions { receive_buffer_bytes: 1 << 30, ..SocketOptions::default() };
        let listening = open(&["127.0.0.1:0".parse().unwrap()], 1, &options).unwrap();
        let socket = socket2::SockRef::from(&listening.workers[0][0]);
        let granted = socket.recv_buffer_size().unwrap() / 2;
        assert_eq!(listening.receive_buffer, BufferSize { requested: 1 << 30, granted });
        let granted = socket.send_buffer_size().unwrap() / 2;
        assert_eq!(listening.send_buffer, BufferSize { requested: 4 << 20, granted });
    }

    #[test]
    fn ipv4_and_ipv6_may_have_the_same_port() {
        let v6 = open(&["[::]:0".parse().unwrap()], 1, &SocketOptions::default()).unwrap();
        let port = v6.addresses[0].port();
        // Bound to IPv6 alone, the port is free for IPv4; another process may have it, though.
        let v4 = SocketAddr::new("0.0.0.0".parse().unwrap(), port);
        match open(&[v4], 1, &SocketOptions::default()) {
            Ok(v4) => assert_eq!(v4.addresses[0].port(), port),
            Err(error) => assert!(UdpSocket::bind(v4).is_err(), "{error}"),
        }
    }
}
