//! Opens the workers' UDP sockets: one per listen address and worker, sharing their ports.

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// How sockets are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// SO_RCVBUF, in bytes as the operator counts them (the kernel doubles it for its own use).
    pub receive_buffer_bytes: usize,
    /// SO_SNDBUF, likewise.
    pub send_buffer_bytes: usize,
    /// Ask the kernel when it heard each packet; a little dearer, latency then counts the socket's queue too.
    pub timestamps: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        // 4 MiB is 10 ms of 3.3 Gbit/s: what a worker may be kept from its core without loss.
        Self { receive_buffer_bytes: 4 << 20, send_buffer_bytes: 4 << 20, timestamps: false }
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

/// Opens all sockets of all workers before any worker starts, so that a busy port is told at once and the kernel's
/// spread of flows over workers never changes while traffic flows. Port 0: the kernel picks, all workers share it.
///
/// # Errors
/// The first address that could not be bound.
pub fn open(
    _listen: &[SocketAddr],
    _workers: usize,
    _options: &SocketOptions,
) -> Result<Listening, BindError> {
    todo!()
}
