//! Reads the DSCP of a TCP connection's packets: Linux does not tell a TCP socket, but a packet socket sees it.
//!
//! Takes `CAP_NET_RAW`; without it the marks are unknown and reported so. A classic BPF filter leaves only the
//! packets the remote sends to the local port.

use super::dscp::{DscpSet, of_traffic_class};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use socket2::{SockFilter, Socket};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// IPv6 header and the ports behind it; an IPv4 header with options is longer.
const HEADERS_LEN: usize = 64;
const HEADERS_LEN_U32: u32 = 64;
const TCP: u8 = 6;

/// Stops with its handle.
pub(super) struct Sniffer {
    seen: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Sniffer {
    pub(super) fn start(remote: SocketAddr, local: SocketAddr) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Datagrams of a packet socket start at the IP header.
        let packets =
            socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
        let packets = Socket::from(packets);
        packets.attach_filter(&filter(remote, local))?;
        // Tokio's UDP socket receives from any datagram socket.
        let packets = UdpSocket::from_std(packets.into())?;
        let seen = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(watch(packets, remote, local, Arc::clone(&seen))).abort_handle();
        Ok(Self { seen, task })
    }

    pub(super) fn seen(&self) -> DscpSet {
        DscpSet::from_bits(self.seen.load(Ordering::Relaxed))
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(packets: UdpSocket, remote: SocketAddr, local: SocketAddr, seen: Arc<AtomicU64>) {
    let mut bytes = [0; HEADERS_LEN];
    while let Ok(len) = packets.recv(&mut bytes).await {
        if let Some(dscp) = mark(&bytes[..len], remote, local) {
            seen.fetch_or(1 << dscp, Ordering::Relaxed);
        }
    }
}

/// The mark, if the packet is of this connection: packets queued before the filter stood may not be.
fn mark(packet: &[u8], remote: SocketAddr, local: SocketAddr) -> Option<u8> {
    let version = packet.first()? >> 4;
    let (class, protocol, ports) = match version {
        4 => (packet[1..].first()?, packet.get(9)?, usize::from(packet[0] & 15) * 4),
        6 => (&(packet[0] << 4 | packet.get(1)? >> 4), packet.get(6)?, 40),
        _ => return None,
    };
    let ports = packet.get(ports..ports + 4)?;
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    let ours = *protocol == TCP
        && (version == 4) == remote.is_ipv4()
        && (port(0), port(2)) == (remote.port(), local.port());
    ours.then(|| of_traffic_class(*class))
}

// Classic BPF (linux/bpf_common.h).
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_HALF_INDEXED: u16 = 0x48;
/// `X = 4 * (packet[k] & 15)`: the length of an IPv4 header.
const LOAD_X_HEADER_LEN: u16 = 0xb1;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Keeps TCP packets from the remote port to the local one.
fn filter(remote: SocketAddr, local: SocketAddr) -> Vec<SockFilter> {
    let (from, to) = (u32::from(remote.port()), u32::from(local.port()));
    let one = |code, k| SockFilter::new(code, 0, 0, k);
    // A comparison that fails jumps over the rest to the refusal at the end.
    let must = |k, rest| SockFilter::new(JUMP_IF_EQUAL, 0, rest, k);
    let mut program = vec![one(LOAD_BYTE, 0), one(AND, 0xf0)];
    if remote.is_ipv4() {
        program.extend([must(0x40, 8), one(LOAD_BYTE, 9), must(u32::from(TCP), 6)]);
        program.extend([one(LOAD_X_HEADER_LEN, 0), one(LOAD_HALF_INDEXED, 0), must(from, 3)]);
        program.extend([one(LOAD_HALF_INDEXED, 2), must(to, 1)]);
    } else {
        program.extend([must(0x60, 7), one(LOAD_BYTE, 6), must(u32::from(TCP), 5)]);
        program.extend([one(LOAD_HALF, 40), must(from, 3), one(LOAD_HALF, 42), must(to, 1)]);
    }
    program.extend([one(RETURN, HEADERS_LEN_U32), one(RETURN, 0)]);
    program
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panic
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn the_marks_of_a_connection_are_seen_or_it_says_that_it_may_not_look() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(ip).await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = TcpStream::connect(address).await.unwrap();
            let other = TcpStream::connect(address).await.unwrap();
            let mut server = listener.accept().await.unwrap().0;
            let sniffer = match Sniffer::start(address, client.local_addr().unwrap()) {
                Ok(sniffer) => sniffer,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                    return;
                }
            };
            let socket = socket2::SockRef::from(&server);
            match address {
                SocketAddr::V4(_) => socket.set_tos_v4(46 << 2).unwrap(),
                SocketAddr::V6(_) => socket.set_tclass_v6(46 << 2).unwrap(),
            }
            server.write_all(b"marked").await.unwrap();
            // Another connection's packets, unmarked, are none of this one's.
            listener.accept().await.unwrap().0.write_all(b"plain").await.unwrap();
            let seen = async {
                while sniffer.seen().is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), seen).await.unwrap();
            assert_eq!(sniffer.seen().iter().collect::<Vec<_>>(), [46], "{address}");
            drop(other);
        }
    }
}
