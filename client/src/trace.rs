//! Shows each step of a connection with its time and what failed, over every transport: for people who debug networks.

use crate::dial::Dialer;
use crate::entry::Entry;
use crate::limits;
use crate::link::{LinkInfo, ProbeStep, describe_tls, probe, step};
use crate::options::{Destination, JoinOptions, TransportChoice};
use crate::session::{Channel, Session};
use crate::{ClientError, Token};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{Kind, Transport};

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct TraceStep {
    /// Of which kind's link; `None` for the control channel.
    pub kind: Option<Kind>,
    /// Over which transport, for links.
    pub transport: Option<Transport>,
    /// To where.
    pub target: String,
    /// What was done.
    pub step: &'static str,
    /// When it began, in microseconds since the start.
    pub at_us: u64,
    /// How long it took.
    pub took_us: u64,
    /// What was learned.
    pub detail: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// All steps, and what they mean.
#[derive(Clone, Debug, Serialize)]
pub struct TraceReport {
    /// In the order they were done.
    pub steps: Vec<TraceStep>,
    /// Transports that work, by kind.
    pub works: Vec<KindTrace>,
}

/// What works for one kind.
#[derive(Clone, Debug, Serialize)]
pub struct KindTrace {
    /// Of which kind.
    pub kind: Kind,
    /// Those over which at least one address answered, best first.
    pub transports: Vec<Transport>,
}

impl TraceReport {
    /// Whether every kind asked for has a transport that works.
    pub fn connects(&self) -> bool {
        !self.works.is_empty() && self.works.iter().all(|kind| !kind.transports.is_empty())
    }
}

/// Goes through all steps, telling each as it ends; a failed one never hides the others. Uses up the token.
///
/// # Errors
/// Only for options that cannot be used at all; what the network does is in the report.
pub async fn trace(
    options: JoinOptions,
    kinds: &[Kind],
    told: impl FnMut(&TraceStep),
) -> Result<TraceReport, ClientError> {
    let (transport, at) = (options.transport, options.at.clone());
    let mut entry = Entry::new(options)?;
    let report = TraceReport { steps: Vec::new(), works: Vec::new() };
    let mut tracer = Tracer { started: Instant::now(), told, report };
    let Some((dialer, token)) = tracer.way(&mut entry, &at).await? else {
        return Ok(tracer.report);
    };
    if let Some(session) = tracer.control(&dialer, &token).await {
        for kind in kinds {
            tracer.link(&session, &dialer, *kind, transport).await;
        }
        session.leave().await;
    }
    Ok(tracer.report)
}

struct Tracer<F> {
    started: Instant,
    told: F,
    report: TraceReport,
}

/// Where steps belong.
#[derive(Clone)]
struct Place {
    kind: Option<Kind>,
    transport: Option<Transport>,
    target: String,
}

impl<F: FnMut(&TraceStep)> Tracer<F> {
    fn note(&mut self, place: &Place, step: ProbeStep) {
        let micros =
            |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let ended = self.started.elapsed();
        let Place { kind, transport, target } = place.clone();
        let step = TraceStep {
            kind,
            transport,
            target,
            step: step.name,
            at_us: micros(ended.saturating_sub(step.took)),
            took_us: micros(step.took),
            detail: step.outcome.as_ref().ok().filter(|detail| !detail.is_empty()).cloned(),
            error: step.outcome.err(),
        };
        (self.told)(&step);
        self.report.steps.push(step);
    }

    /// Where the MMR is: told, or asked of the zone's controllers.
    async fn way(
        &mut self,
        entry: &mut Entry,
        at: &Destination,
    ) -> Result<Option<(Dialer, Token)>, ClientError> {
        let Destination::Zone(controllers) = at else { return entry.way().await.map(Some) };
        let names: Vec<String> = controllers.iter().map(ToString::to_string).collect();
        let place = Place { kind: None, transport: None, target: names.join(", ") };
        let asked = async { entry.way().await.map_err(io::Error::other) };
        let told = self.step(&place, "assign", asked, |(dialer, _)| {
            format!("to {} port {}", dialer.mmr.host, dialer.mmr.port)
        });
        Ok(told.await)
    }

    /// Name lookup, then every address; joins over the first that takes the WebSocket.
    async fn control(&mut self, dialer: &Dialer, token: &Token) -> Option<Session> {
        let host = dialer.mmr.host.clone();
        let place = Place { kind: None, transport: None, target: host };
        let lookup = async { dialer.resolve().await.map_err(io::Error::other) };
        let found = self.step(&place, "dns", lookup, |found: &Vec<SocketAddr>| {
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        });
        let mut session = None;
        for address in found.await.unwrap_or_default() {
            let place = Place { target: address.to_string(), ..place.clone() };
            let channel = self.channel(&place, dialer, address).await;
            if let (None, Some(channel)) = (&session, channel) {
                session = self.join(&place, dialer, channel, token).await;
            }
        }
        session
    }

    async fn channel(
        &mut self,
        place: &Place,
        dialer: &Dialer,
        address: SocketAddr,
    ) -> Option<Channel> {
        let tcp = self.step(place, "tcp", dialer.tcp(address), |tcp| {
            tcp.local_addr().map(|local| format!("from {local}")).unwrap_or_default()
        });
        let tcp = tcp.await?;
        let tls = dialer.tls(tcp, wire::control::ALPN_CONTROL);
        let tls = self.step(place, "tls", tls, |tls| describe_tls(tls.get_ref().1)).await?;
        let upgrade =
            async { Channel::upgrade(dialer, address, tls).await.map_err(io::Error::other) };
        self.step(place, "websocket", upgrade, |_| String::new()).await
    }

    async fn join(
        &mut self,
        place: &Place,
        dialer: &Dialer,
        mut channel: Channel,
        token: &Token,
    ) -> Option<Session> {
        let join = async {
            let welcome = channel.join(token).await.map_err(io::Error::other)?;
            Ok(Session::start(channel, welcome, dialer.clone(), TransportChoice::Auto).0)
        };
        let joined = self.step(place, "join", join, |session: &Session| {
            let welcome = session.welcome();
            format!("as {}, {} others in the meeting", welcome.participant, welcome.roster.len())
        });
        joined.await
    }

    /// All transports and addresses of one kind, whatever worked before.
    async fn link(
        &mut self,
        session: &Session,
        dialer: &Dialer,
        kind: Kind,
        choice: TransportChoice,
    ) {
        let target = dialer.mmr.host.clone();
        let place = Place { kind: Some(kind), transport: None, target };
        let asked = async { session.link_info(kind).await.map_err(io::Error::other) };
        let info = self.step(&place, "link", asked, |info: &LinkInfo| {
            let addresses = &info.addresses;
            let counts = (addresses.udp.len(), addresses.tcp.len(), addresses.tls.len());
            format!("{} UDP, {} TCP, {} TLS addresses", counts.0, counts.1, counts.2)
        });
        let Some(info) = info.await else { return };
        let mut transports = Vec::new();
        for transport in choice.transports() {
            let mut works = false;
            for address in info.addresses_of(transport, dialer.ip) {
                let (transport, target) = (Some(transport), address.to_string());
                let place = Place { kind: Some(kind), transport, target };
                works |= self.probe(&info, dialer, &place, address).await;
            }
            if works {
                transports.push(transport);
            }
        }
        self.report.works.push(KindTrace { kind, transports });
    }

    async fn probe(
        &mut self,
        info: &LinkInfo,
        dialer: &Dialer,
        place: &Place,
        address: SocketAddr,
    ) -> bool {
        let Some(transport) = place.transport else { return false };
        probe(info, dialer, transport, address, |step| self.note(place, step)).await
    }

    async fn step<T>(
        &mut self,
        place: &Place,
        name: &'static str,
        work: impl Future<Output = io::Result<T>>,
        describe: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let mut told = |step| self.note(place, step);
        step(name, limits::TLS_DEADLINE, &mut told, work, describe).await
    }
}
