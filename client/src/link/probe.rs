//! Tries one address of a link step by step, for people who want to see where a network stops it.

use super::establish::{check, deadline};
use super::stream::StreamPath;
use super::udp::UdpPath;
use super::{LinkInfo, Path};
use crate::dial::{ByteStream, MmrDialer, Stream, Target};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use wire::Transport;

/// One step of a connection.
pub(crate) struct ProbeStep {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    /// What was learned, or what went wrong.
    pub(crate) outcome: Result<String, String>,
}

/// Connects and checks; calls `told` after every step, the last of which may have failed.
pub(crate) async fn probe(
    info: &LinkInfo,
    dialer: &MmrDialer,
    transport: Transport,
    address: SocketAddr,
    mut told: impl FnMut(ProbeStep),
) -> bool {
    let patience = deadline(transport);
    let path = match transport {
        Transport::Udp => {
            step("udp socket", patience, &mut told, async { UdpPath::open(address) }, |path| {
                path.local().map_or_else(|error| error.to_string(), |local| format!("from {local}"))
            })
            .await
            .ok()
            .map(Path::Udp)
        }
        Transport::Tcp | Transport::Tls => {
            connect(dialer, transport, address, &mut told).await.map(Path::Stream)
        }
    };
    let Some(path) = path else { return false };
    let checked = step("stun", patience, &mut told, check(path, info, transport), |bound| {
        let mapped = bound.answer.mapped;
        format!("round trip {:.1?}, this end is {mapped} to the MMR", bound.answer.round_trip)
    });
    checked.await.is_ok()
}

async fn connect(
    dialer: &MmrDialer,
    transport: Transport,
    address: SocketAddr,
    told: &mut impl FnMut(ProbeStep),
) -> Option<StreamPath> {
    let patience = deadline(transport);
    let target = Target::from(address);
    let tcp = dialer.connect(&target);
    let from = |tcp: &Stream| format!("from {}", tcp.local());
    let tcp = step("tcp", patience, told, tcp, from).await.ok()?;
    let local = tcp.local();
    let stream: Box<dyn ByteStream> = match transport {
        Transport::Tls => {
            let tls = dialer.tls(tcp, wire::control::ALPN_MEDIA);
            let tls = step("tls", patience, told, tls, |tls| describe_tls(tls.get_ref().1));
            Box::new(tls.await.ok()?)
        }
        _ => Box::new(tcp),
    };
    Some(StreamPath::new(stream, local, address))
}

/// What a handshake agreed upon.
pub(crate) fn describe_tls(connection: &rustls::ClientConnection) -> String {
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let alpn = String::from_utf8_lossy(connection.alpn_protocol().unwrap_or_default());
    format!("{}, {}, ALPN {alpn}", version.unwrap_or("TLS"), suite.unwrap_or("unknown cipher"))
}

/// Runs one step under a deadline and tells of it.
pub(crate) async fn step<T>(
    name: &'static str,
    patience: Duration,
    told: &mut impl FnMut(ProbeStep),
    work: impl Future<Output = io::Result<T>>,
    describe: impl FnOnce(&T) -> String,
) -> io::Result<T> {
    let started = Instant::now();
    let done = timeout(patience, work).await;
    let done = done.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {patience:?}")))
    });
    let took = started.elapsed();
    let outcome = done.as_ref().map(describe).map_err(ToString::to_string);
    told(ProbeStep { name, took, outcome });
    done
}
