//! Finds a transport for a link: all addresses of one transport at once, transport after transport, each with
//! its deadline.

use super::check::{Answer, Checks};
use super::stream::StreamPath;
use super::udp::UdpPath;
use super::{LinkInfo, Path};
use crate::dial::{ByteStream, MmrDialer, Target};
use crate::limits;
use crate::options::TransportChoice;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::Transport;

/// One address tried for a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Over which transport.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// How long it took to work or fail.
    pub took_us: u64,
    /// Why it failed; `None` when it worked or another address was faster.
    pub error: Option<String>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.error.as_deref().unwrap_or("works");
        let took = Duration::from_micros(self.took_us);
        write!(f, "{} {}: {outcome} after {took:.1?}", self.transport, self.address)
    }
}

/// A bound link's way.
pub(super) struct Bound {
    pub(super) path: Path,
    pub(super) transport: Transport,
    pub(super) answer: Answer,
    pub(super) checks: Checks,
}

/// How long a transport has.
pub(super) const fn deadline(transport: Transport) -> Duration {
    match transport {
        Transport::Udp => limits::UDP_DEADLINE,
        Transport::Tcp => limits::TCP_DEADLINE,
        Transport::Tls => limits::TLS_DEADLINE,
    }
}

/// The first address of the first transport that answers a check; every attempt is noted.
pub(super) async fn bind(
    info: &Arc<LinkInfo>,
    dialer: &MmrDialer,
    choice: TransportChoice,
    attempts: &mut Vec<Attempt>,
) -> Option<Bound> {
    for transport in choice.transports() {
        let addresses = info.addresses_of(transport, &dialer.dialer);
        let bound = bind_over(info, dialer, transport, &addresses, attempts).await;
        if bound.is_some() {
            return bound;
        }
    }
    None
}

/// All addresses of a transport, each a little after the one before; the fastest wins.
pub(super) async fn bind_over(
    info: &Arc<LinkInfo>,
    dialer: &MmrDialer,
    transport: Transport,
    addresses: &[SocketAddr],
    attempts: &mut Vec<Attempt>,
) -> Option<Bound> {
    let started = Instant::now();
    let mut tries = JoinSet::new();
    for (index, &address) in (0_u32..).zip(addresses) {
        let (info, dialer) = (Arc::clone(info), dialer.clone());
        tries.spawn(async move {
            sleep(limits::ADDRESS_STAGGER * index).await;
            let outcome = timeout(deadline(transport), try_one(&info, &dialer, transport, address));
            let silent = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
            (address, outcome.await.unwrap_or_else(|_| Err(silent())))
        });
    }
    while let Some(tried) = tries.join_next().await {
        let Ok((address, outcome)) = tried else { continue };
        let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let error = outcome.as_ref().err().map(ToString::to_string);
        attempts.push(Attempt { transport, address, took_us, error });
        if let Ok(bound) = outcome {
            // Dropping the set ends the other tries.
            return Some(bound);
        }
    }
    None
}

async fn try_one(
    info: &LinkInfo,
    dialer: &MmrDialer,
    transport: Transport,
    address: SocketAddr,
) -> io::Result<Bound> {
    let path = open(dialer, transport, address).await?;
    check(path, info, transport).await
}

/// Connects, without a check.
async fn open(dialer: &MmrDialer, transport: Transport, address: SocketAddr) -> io::Result<Path> {
    if transport == Transport::Udp {
        return Ok(Path::Udp(UdpPath::open(address)?));
    }
    let stream = dialer.connect(&Target::from(address)).await?;
    let local = stream.local();
    let stream: Box<dyn ByteStream> = match transport {
        Transport::Tls => Box::new(dialer.tls(stream, wire::control::ALPN_MEDIA).await?),
        _ => Box::new(stream),
    };
    Ok(Path::Stream(StreamPath::new(stream, local, address)))
}

/// Checks until an answer comes; the caller brings the deadline.
pub(super) async fn check(
    mut path: Path,
    info: &LinkInfo,
    transport: Transport,
) -> io::Result<Bound> {
    let mut checks = Checks::new(info);
    loop {
        let request = checks.write(Instant::now());
        path.send(&request, request.len());
        let answered = timeout(limits::CHECK_RETRANSMIT, async {
            loop {
                let (packet, _) = path.receive().await?;
                if let Some(answer) = checks.receive(Instant::now(), &packet) {
                    return Ok::<_, io::Error>(answer);
                }
            }
        });
        match answered.await {
            Ok(Ok(answer)) => return Ok(Bound { path, transport, answer, checks }),
            Ok(Err(error)) => return Err(error),
            Err(_no_answer_yet) => {}
        }
    }
}
