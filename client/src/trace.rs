//! Shows each step of a connection with its time and what failed, over every transport: for people who debug networks.

use crate::dial::{MmrDialer, Stream, Target};
use crate::entry::Entry;
use crate::limits;
use crate::link::{LinkInfo, ProbeStep, describe_tls, probe};
use crate::options::{JoinOptions, TransportChoice};
use crate::session::{Channel, Session};
use crate::way::{Journal, Phase, Place, WayReport};
use crate::{ClientError, Token};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use tokio_rustls::client::TlsStream;
use wire::{Kind, Transport};

/// All steps, and what they mean.
#[derive(Clone, Debug, Serialize)]
pub struct TraceReport {
    /// Every step, and what each phase came to.
    #[serde(flatten)]
    pub way: WayReport,
    /// Transports that work, by kind.
    pub works: Vec<KindTrace>,
    /// Why it ended before links could be tried.
    pub error: Option<String>,
    /// The page for browsers, where joining is not possible yet: when nothing worked from a meeting's link on.
    pub link: Option<String>,
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

/// Goes through all steps, telling each to `options.told` as it ends; a failed one never hides the others. Uses up the
/// token.
///
/// # Errors
/// Only for options that cannot be used at all; what the network does is in the report.
pub async fn trace(options: JoinOptions, kinds: &[Kind]) -> Result<TraceReport, ClientError> {
    let transport = options.transport;
    let mut entry = Entry::new(options)?;
    let mut tracer = Tracer { journal: entry.journal().clone(), works: Vec::new() };
    let traced = tracer.run(&mut entry, kinds, transport).await;
    let (error, link) = match traced {
        Ok(()) => (None, None),
        // The report is told as a whole.
        Err(ClientError::NoWay { link, cause, .. }) => (Some(cause.to_string()), Some(link)),
        Err(error) => (Some(error.to_string()), None),
    };
    Ok(TraceReport { way: tracer.journal.report(), works: tracer.works, error, link })
}

struct Tracer {
    journal: Journal,
    works: Vec<KindTrace>,
}

impl Tracer {
    async fn run(
        &mut self,
        entry: &mut Entry,
        kinds: &[Kind],
        transport: TransportChoice,
    ) -> Result<(), ClientError> {
        entry.find_zone().await.map_err(|error| entry.explain(error))?;
        let began = Instant::now();
        let told = entry.way().await;
        let (dialer, token) = told.map_err(|error| entry.explain(error))?;
        let Some(session) = self.control(&dialer, &token).await else { return Ok(()) };
        self.journal.end_phase(Phase::Mmr, dialer.way(), began);
        let began = Instant::now();
        for kind in kinds {
            self.link(&session, &dialer, *kind, transport).await;
        }
        self.journal.end_phase(Phase::Media, dialer.way(), began);
        session.leave().await;
        Ok(())
    }

    /// Name lookup, then every address; joins over the first that takes the WebSocket.
    async fn control(&mut self, dialer: &MmrDialer, token: &Token) -> Option<Session> {
        let place = Place::new(Phase::Mmr, dialer.way(), &dialer.mmr.host);
        let lookup = async { dialer.targets().await.map_err(io::Error::other) };
        let found = self.step(&place, "dns", lookup, |found: &Vec<Target>| {
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        });
        let mut session = None;
        for target in found.await.unwrap_or_default() {
            let place = Place { target: target.to_string(), ..place.clone() };
            let channel = self.channel(&place, dialer, &target).await;
            if let (None, Some(channel)) = (&session, channel) {
                session = self.join(&place, dialer, channel, token).await;
            }
        }
        session
    }

    async fn channel(
        &mut self,
        place: &Place,
        dialer: &MmrDialer,
        target: &Target,
    ) -> Option<Channel> {
        let from = |tcp: &Stream| format!("from {}", tcp.local());
        let tcp = self.step(place, "tcp", dialer.connect(target), from).await?;
        let tls = dialer.tls(tcp, wire::control::ALPN_CONTROL);
        let describe = |tls: &TlsStream<Stream>| describe_tls(tls.get_ref().1);
        let tls = self.step(place, "tls", tls, describe).await?;
        let upgrade =
            async { Channel::upgrade(dialer, target, tls).await.map_err(io::Error::other) };
        self.step(place, "websocket", upgrade, |_| String::new()).await
    }

    async fn join(
        &mut self,
        place: &Place,
        dialer: &MmrDialer,
        mut channel: Channel,
        token: &Token,
    ) -> Option<Session> {
        let journal = self.journal.clone();
        let join = async {
            let welcome = channel.join(token).await.map_err(io::Error::other)?;
            let auto = TransportChoice::Auto;
            Ok(Session::start(channel, welcome, dialer.clone(), auto, journal).0)
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
        dialer: &MmrDialer,
        kind: Kind,
        choice: TransportChoice,
    ) {
        let place = Place::new(Phase::Media, dialer.way(), &dialer.mmr.host);
        let place = Place { kind: Some(kind), ..place };
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
            for address in info.addresses_of(transport, &dialer.dialer) {
                let (transport, target) = (Some(transport), address.to_string());
                let place = Place { transport, target, ..place.clone() };
                works |= self.probe(&info, dialer, &place, address).await;
            }
            if works {
                transports.push(transport);
            }
        }
        self.works.push(KindTrace { kind, transports });
    }

    async fn probe(
        &self,
        info: &LinkInfo,
        dialer: &MmrDialer,
        place: &Place,
        address: SocketAddr,
    ) -> bool {
        let Some(transport) = place.transport else { return false };
        let note = |step: ProbeStep| self.journal.note(place, step);
        probe(info, dialer, transport, address, note).await
    }

    async fn step<T>(
        &self,
        place: &Place,
        name: &'static str,
        work: impl Future<Output = io::Result<T>>,
        describe: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        self.journal.step(place, name, limits::TLS_DEADLINE, work, describe).await.ok()
    }
}
