//! What is answered: `CONNECT`, ping, metrics.
//!
//! A token is looked at before anything that it could lead to, so that who has none learns nothing of
//! the list.

use crate::accounts::{Accounts, Denied, Seat};
use crate::config::Config;
use crate::limits::{
    ADDRESSES_PACED_MAX, CONNECT_PATIENCE, CONNECTION_WINDOW, SEND_BUFFER_LEN, STREAM_WINDOW,
    STREAMS_MAX, UPGRADE_PATIENCE,
};
use crate::metrics::Counts;
use crate::names::Names;
use crate::relay::{Deadlines, relay};
use crate::target::{Target, TargetError};
use crate::zones::{Holder, Zones};
use ::daemon::answer::{Answer, json, later, refused, text as text_of};
use ::daemon::bearer::{Bearers, shown};
use ::daemon::credential::CredentialError;
use ::daemon::keys::{Fetches, Sources};
use ::daemon::metrics::CONTENT_TYPE as METRICS_TYPE;
use ::daemon::pace::Paces;
use ::daemon::server::{self, Hold, Peer, network};
use ::daemon::unix_now_s;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::PROXY_AUTHORIZATION;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};
use wire::token::TokenError;
use wire::tunnel::{PING_PATH, Pong, Refusal, RefusalCode};

/// When asking again makes sense, after something that should pass.
const SOON: Duration = Duration::from_secs(2);

/// A tunnel's HTTPS.
#[derive(Clone)]
pub(crate) struct Site(Arc<Shared>);

pub(crate) struct Shared {
    rules: Mutex<Arc<Rules>>,
    accounts: Accounts,
    paces: Mutex<Paces>,
    tunnels: Arc<Semaphore>,
    deadlines: Deadlines,
    started: Instant,
    draining: AtomicBool,
    /// Tunnels end when it is gone.
    going: watch::Receiver<()>,
    pub(crate) counts: Counts,
}

/// What is read again at SIGHUP.
pub(crate) struct Rules {
    tls: Arc<ServerConfig>,
    zones: Zones,
    names: Arc<Names>,
    operators: Arc<Bearers>,
}

impl Rules {
    /// Reads and checks all files but those of `keys`.
    pub(crate) fn load(config: &Config, keys: &Sources) -> Result<Self, CredentialError> {
        let zones = Zones::new(config, keys);
        let certificate = ("tls.certificate", config.tls.certificate.as_path());
        let key = ("tls.key", config.tls.key.as_path());
        Ok(Self {
            tls: ::daemon::credential::identity(certificate, key)?.https(),
            names: Arc::new(Names::new(zones.targets(), config.private.clone())),
            operators: Arc::new(Bearers::load("operators.tokens", config.operators.as_deref())?),
            zones,
        })
    }

    /// The same with other keys.
    fn with_keys(&self, keys: &Sources) -> Self {
        Self {
            tls: Arc::clone(&self.tls),
            zones: self.zones.with_keys(keys),
            names: Arc::clone(&self.names),
            operators: Arc::clone(&self.operators),
        }
    }
}

impl Site {
    pub(crate) fn new(
        config: &Config,
        rules: Rules,
        fetches: Fetches,
        going: watch::Receiver<()>,
    ) -> Self {
        let limits = &config.limits;
        Self(Arc::new(Shared {
            rules: Mutex::new(Arc::new(rules)),
            accounts: Accounts::new(limits.participant),
            paces: Mutex::new(Paces::new(limits.requests_per_address, ADDRESSES_PACED_MAX)),
            tunnels: Arc::new(Semaphore::new(limits.tunnels as usize)),
            deadlines: Deadlines { idle: limits.idle, half_open: limits.half_open },
            started: Instant::now(),
            draining: AtomicBool::new(false),
            going,
            counts: Counts::new(fetches),
        }))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// A tunnel to where the client asks for, or why there is none.
    async fn connect(
        &self,
        request: &mut Request<Incoming>,
        peer: &Peer,
    ) -> Result<Answer, Refusal> {
        let shared = &self.0;
        if shared.draining.load(Ordering::Relaxed) {
            return Err(Refusal::new(RefusalCode::Draining, "This tunnel ends. Use another."));
        }
        let rules = shared.rules();
        let token = shown(request.headers(), PROXY_AUTHORIZATION).ok_or_else(no_token)?;
        let now_s = unix_now_s();
        let (holder, zone) = rules.zones.check(token, now_s).map_err(refused_token)?;
        // RFC 9110 §9.3.6: the authority is all there is.
        let asked = request.uri().authority().map(hyper::http::uri::Authority::as_str);
        let target = Target::parse(asked.unwrap_or_default()).map_err(refused_target)?;
        if !zone.leads_to(&target) {
            let message = "This tunnel leads to no such host and port for the token's zone.";
            return Err(Refusal::new(RefusalCode::NotAllowed, message));
        }
        let now = shared.started.elapsed();
        let seat = shared.accounts.enter(&holder, now, now_s).map_err(denied)?;
        let Ok(permit) = Arc::clone(&shared.tunnels).try_acquire_owned() else {
            return Err(later(RefusalCode::Overloaded, "There are too many tunnels.", SOON));
        };
        let since = Instant::now();
        let stream = reach(&rules.names, &target).await?;
        shared.counts.connected(since.elapsed());
        let upgrade = hyper::upgrade::on(request);
        let tunnel = Tunnel {
            shared: Arc::clone(shared),
            holder,
            seat,
            _permit: permit,
            _hold: peer.hold(),
        };
        tokio::spawn(tunnel.run(upgrade, stream));
        Ok(Response::new(Full::default()))
    }

    fn ping(&self) -> Answer {
        let zones = self.0.rules().zones.names().map(str::to_owned).collect();
        json(200, &Pong { zones })
    }

    fn metrics(&self, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        if !self.0.rules().operators.let_look(request.headers()) {
            let message = "Operators alone may ask this: send Authorization: Bearer and a token of operators.tokens.";
            return Err(Refusal::new(RefusalCode::Unauthorized, message));
        }
        let text = crate::metrics::scrape(self.clone()).unwrap_or_default();
        Ok(text_of(METRICS_TYPE, text))
    }

    fn pace(&self, peer: &Peer) -> Result<(), Refusal> {
        let mut paces = lock(&self.0.paces);
        paces
            .take(network(peer.address), self.0.started.elapsed())
            .map_err(|wait| later(RefusalCode::TooFast, "This address asks too often.", wait))
    }
}

impl server::Site for Site {
    type Body = Full<Bytes>;

    fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.rules().tls)
    }

    fn http(&self) -> Builder<TokioExecutor> {
        let mut builder = server::http();
        builder
            .http2()
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER_LEN);
        builder
    }

    async fn answer(&self, mut request: Request<Incoming>, peer: Peer) -> Answer {
        let answer = match self.pace(&peer) {
            Err(refusal) => Err(refusal),
            Ok(()) if request.method() == Method::CONNECT => {
                self.connect(&mut request, &peer).await
            }
            Ok(()) => match (request.method(), request.uri().path()) {
                (&Method::GET, PING_PATH) => Ok(self.ping()),
                (&Method::GET, "/metrics") => self.metrics(&request),
                (_, PING_PATH | "/metrics") => {
                    let message = "This path takes another method.";
                    Err(Refusal::new(RefusalCode::MethodNotAllowed, message))
                }
                _ => Err(Refusal::new(RefusalCode::NotFound, "There is no such path here.")),
            },
        };
        answer.unwrap_or_else(|refusal| self.0.refuse(&refusal))
    }
}

impl Shared {
    /// New connections lead nowhere from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn participants(&self) -> usize {
        self.accounts.count()
    }

    pub(crate) fn replace_rules(&self, rules: Rules) {
        *lock(&self.rules) = Arc::new(rules);
    }

    pub(crate) fn replace_keys(&self, keys: &Sources) {
        let mut rules = lock(&self.rules);
        *rules = Arc::new(rules.with_keys(keys));
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&lock(&self.rules))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        self.counts.refused(refusal.code);
        refused(refusal.code.status(), refusal)
    }
}

/// One tunnel, granted.
struct Tunnel {
    shared: Arc<Shared>,
    holder: Holder,
    seat: Seat,
    _permit: OwnedSemaphorePermit,
    _hold: Hold,
}

impl Tunnel {
    async fn run(self, upgrade: OnUpgrade, target: TcpStream) {
        let Self { shared, holder, seat, .. } = &self;
        let Ok(Ok(client)) = timeout(UPGRADE_PATIENCE, upgrade).await else {
            return shared.counts.ended("no_upgrade");
        };
        shared.counts.opened(&holder.zone);
        let carried = &shared.counts.carried;
        let client = TokioIo::new(client);
        let relay = relay(client, target, seat, shared.started, shared.deadlines, carried);
        let mut going = shared.going.clone();
        let end = tokio::select! {
            end = relay => end.name(),
            _ = going.changed() => "drained",
        };
        shared.counts.closed(&holder.zone);
        shared.counts.ended(end);
    }
}

/// Connects with the first address that answers.
async fn reach(names: &Names, target: &Target) -> Result<TcpStream, Refusal> {
    for address in names.addresses(target).await {
        match timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => tracing::debug!(%address, %error, "a target can't be reached"),
            Err(_) => tracing::debug!(%address, "a target did not answer in time"),
        }
    }
    Err(later(RefusalCode::Unreachable, "The host can't be reached from this tunnel now.", SOON))
}

fn no_token() -> Refusal {
    Refusal::new(
        RefusalCode::BadToken,
        "Show the join token of the meeting, or the ticket of the zone: Proxy-Authorization: Bearer.",
    )
}

fn refused_token(error: TokenError) -> Refusal {
    let (code, message) = match error {
        TokenError::Expired => (
            RefusalCode::TokenExpired,
            "The token's time is over, or not yet come, or too long. Get a new one.",
        ),
        TokenError::TooLong => (RefusalCode::BadToken, "The token is longer than 2048 bytes."),
        TokenError::Malformed => (
            RefusalCode::BadToken,
            "The token is neither a join token nor a ticket: a JWT with the header alg EdDSA and a kid.",
        ),
        TokenError::UnknownKey | TokenError::Forged => (
            RefusalCode::BadToken,
            "The token was not signed for a zone that this tunnel leads to.",
        ),
    };
    Refusal::new(code, message)
}

fn refused_target(error: TargetError) -> Refusal {
    let code = match error {
        TargetError::Malformed => RefusalCode::BadRequest,
        TargetError::Disguised | TargetError::NoHost => RefusalCode::NotAllowed,
    };
    Refusal::new(code, format!("The target is {error}."))
}

fn denied(denied: Denied) -> Refusal {
    match denied {
        Denied::TooFast(wait) => {
            later(RefusalCode::TooFast, "This participant asks too often.", wait)
        }
        Denied::TooMany => {
            let message = "This participant has as many tunnels as it may. Close one.";
            Refusal::new(RefusalCode::TooMany, message)
        }
        Denied::Spent => {
            let message =
                "This participant has sent and received as much as it may through this tunnel.";
            Refusal::new(RefusalCode::Spent, message)
        }
        Denied::Full => later(RefusalCode::Overloaded, "There are too many participants.", SOON),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
