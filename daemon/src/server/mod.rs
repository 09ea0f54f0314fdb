//! HTTPS as every daemon serves it: connections within limits, TLS, then HTTP with a deadline for
//! every step.
//!
//! What is answered is the [`Site`]'s. A connection is ended a minute after it came, between two
//! requests, unless somebody holds it ([`Peer::hold`]).

mod bind;
mod gate;

pub use bind::ListenError;
pub use gate::{Connections, Hold, Peer, network};

use crate::config::Listen;
use gate::{Gate, Place};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// For TLS from the first byte to the last.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// For the head of a request, the wait for it included.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How often an HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// Connections that nobody holds are ended after so long, between two requests.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// Requests of one HTTP/2 connection at once.
const STREAMS_MAX: u32 = 32;
/// Bytes of a request's head.
const HEAD_LEN_MAX: u32 = 16 * 1024;
/// How long to wait when no more files may be opened.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether all connections have ended.
const END_INTERVAL: Duration = Duration::from_millis(20);

const _: () = assert!(HANDSHAKE_PATIENCE.as_secs() < CONNECTION_AGE_MAX.as_secs());

/// What is served.
pub trait Site: Clone + Send + Sync + 'static {
    /// Of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// For a connection that begins now.
    fn tls(&self) -> Arc<ServerConfig>;

    /// How HTTP is spoken; [`http`] is a good start.
    fn http(&self) -> Builder<TokioExecutor> {
        http()
    }

    /// Answers one request.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// HTTP/1.1 and HTTP/2 with deadlines and small limits.
pub fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_LEN_MAX as usize)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_LEN_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}

/// How many connections there may be, and how long they may take to end.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At once.
    pub connections: u32,
    /// At once from one [`network`].
    pub connections_per_address: u32,
    /// For requests under way, once no more are taken.
    pub end_patience: Duration,
}

/// Sockets, bound.
pub struct Server<S> {
    listeners: Vec<TcpListener>,
    door: Door<S>,
}

impl<S: Site> Server<S> {
    /// Binds every address; with port 0 the first takes a free one and the others the same.
    ///
    /// # Errors
    /// When one can't be had.
    pub fn bind(
        listen: &Listen,
        limits: Limits,
        counts: Connections,
        site: S,
    ) -> Result<Self, ListenError> {
        let listeners = bind::all(listen)?;
        let gate = Gate::new(limits.connections, limits.connections_per_address, counts);
        Ok(Self { listeners, door: Door { site, gate: Arc::new(gate), limits } })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `end` changes, then lets requests under way finish.
    pub async fn serve(self, end: watch::Receiver<()>) {
        let Self { listeners, door } = self;
        let gate = Arc::clone(&door.gate);
        let end_patience = door.limits.end_patience;
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| tokio::spawn(door.clone().accept(listener, end.clone())))
            .collect();
        drop(door);
        for accepting in accepting {
            if let Err(error) = accepting.await {
                tracing::error!(%error, "a listener ended");
            }
        }
        let deadline = Instant::now() + end_patience;
        while gate.count() > 0 && Instant::now() < deadline {
            sleep(END_INTERVAL).await;
        }
    }
}

/// What accepts on one socket.
#[derive(Clone)]
struct Door<S> {
    site: S,
    gate: Arc<Gate>,
    limits: Limits,
}

impl<S: Site> Door<S> {
    async fn accept(self, listener: TcpListener, mut end: watch::Receiver<()>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = end.changed() => return,
            };
            match accepted {
                Ok((stream, from)) => self.admit(stream, from.ip(), end.clone()),
                Err(error) => {
                    self.gate.refused("no_file");
                    tracing::debug!(%error, "a connection could not be accepted");
                    sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, from: IpAddr, end: watch::Receiver<()>) {
        match Gate::enter(&self.gate, network(from)) {
            Ok(place) => {
                let place = Arc::new(place);
                let door = self.clone();
                tokio::spawn(async move {
                    door.clone().serve(stream, from, Arc::clone(&place), end).await;
                    // Whoever waits for the last place to be given back wants the site for itself
                    // then.
                    drop(door);
                    drop(place);
                });
            }
            // Dropped without a word: an answer would cost a handshake.
            Err(reason) => self.gate.refused(reason),
        }
    }

    async fn serve(
        self,
        stream: TcpStream,
        from: IpAddr,
        place: Arc<Place>,
        mut end: watch::Receiver<()>,
    ) {
        let _ = stream.set_nodelay(true);
        let acceptor = TlsAcceptor::from(self.site.tls());
        let stream = match timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return self.gate.refused("handshake"),
            Err(_) => return self.gate.refused("slow"),
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|chain| chain.first());
        let peer = Peer::new(from, certificate.map(|der| der.clone().into_owned()), place);
        let builder = self.site.http();
        let (site, shown) = (self.site, peer.clone());
        let service = hyper::service::service_fn(move |request| {
            let (site, peer) = (site.clone(), shown.clone());
            async move { Ok::<_, Infallible>(site.answer(request, peer).await) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut age = interval(CONNECTION_AGE_MAX);
        age.tick().await;
        loop {
            tokio::select! {
                // How it ended is the peer's own affair.
                _ = connection.as_mut() => return,
                _ = end.changed() => break,
                _ = age.tick() => if !peer.is_held() { break },
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.limits.end_patience, connection).await;
    }
}
