//! Connections: accepted within limits, TLS, then HTTP with a deadline for every step.

use super::access::Peer;
use super::network;
use crate::config::Config;
use crate::controller::Controller;
use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// For TLS from the first byte to the last.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// For the head of a request, the wait for it included.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How often an HTTP/2 peer is asked whether it is there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// Connections of others than agents are ended after so long, between two requests.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// How long requests under way may take when the controller ends.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// Requests of one HTTP/2 connection at once.
const STREAMS_MAX: u32 = 32;
/// Bytes of a request's head.
const HEAD_LEN_MAX: u32 = 16 * 1024;
/// Connections the kernel keeps waiting.
const BACKLOG: i32 = 4_096;
/// How long to wait when no more files may be opened.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

const _: () = assert!(HANDSHAKE_PATIENCE.as_secs() < CONNECTION_AGE_MAX.as_secs());

/// A controller's sockets, bound.
pub struct Listener {
    listeners: Vec<TcpListener>,
    routes: Router,
    controller: Arc<Controller>,
    gate: Arc<Gate>,
}

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("TCP {address} can't be listened on: {cause}. {remedy}")]
pub struct ListenError {
    address: SocketAddr,
    cause: io::Error,
    remedy: &'static str,
}

impl Listener {
    /// Binds every address; with port 0 the first takes a free one and the others the same.
    ///
    /// # Errors
    /// When one can't be had.
    pub fn bind(config: &Config, controller: Arc<Controller>) -> Result<Self, ListenError> {
        let mut port = config.listen.port;
        let mut listeners = Vec::new();
        for address in &config.listen.addresses {
            let address = SocketAddr::new(*address, port);
            let listener = bind(address).map_err(|cause| ListenError {
                remedy: match cause.kind() {
                    io::ErrorKind::AddrInUse => {
                        "Stop whatever has it (`ss -ltnp`), or give listen.port another."
                    }
                    io::ErrorKind::PermissionDenied => {
                        "Ports below 1024 need CAP_NET_BIND_SERVICE; or give listen.port another."
                    }
                    _ => "List addresses of this host in listen.addresses.",
                },
                address,
                cause,
            })?;
            port = listener.local_addr().map_or(port, |address| address.port());
            listeners.push(listener);
        }
        let routes = super::routes(Arc::clone(&controller), &config.limits);
        let gate = Arc::new(Gate {
            most: config.limits.connections,
            most_per_address: config.limits.connections_per_address,
            open: Mutex::new(Open::default()),
        });
        Ok(Self { listeners, routes, controller, gate })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `end` changes, then lets requests under way finish.
    pub async fn serve(self, end: watch::Receiver<()>) {
        let Self { listeners, routes, controller, gate } = self;
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let door = Door {
                    routes: routes.clone(),
                    controller: Arc::clone(&controller),
                    gate: Arc::clone(&gate),
                    end: end.clone(),
                };
                tokio::spawn(door.accept(listener))
            })
            .collect();
        for accepting in accepting {
            if let Err(error) = accepting.await {
                tracing::error!(%error, "a listener ended");
            }
        }
        let deadline = tokio::time::Instant::now() + END_PATIENCE;
        while gate.count() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What accepts on one socket.
#[derive(Clone)]
struct Door {
    routes: Router,
    controller: Arc<Controller>,
    gate: Arc<Gate>,
    end: watch::Receiver<()>,
}

impl Door {
    async fn accept(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.end.changed() => return,
            };
            match accepted {
                Ok((stream, from)) => self.admit(stream, from.ip()),
                Err(error) => {
                    self.refused("no_file");
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, from: IpAddr) {
        match Gate::enter(&self.gate, network(from)) {
            Ok(place) => {
                let door = self.clone();
                self.controller.counts.connections.inc();
                tokio::spawn(async move {
                    door.clone().serve(stream, from).await;
                    door.controller.counts.connections.dec();
                    // Whoever waits for the last place to be given back wants the controller for
                    // itself then.
                    drop(door);
                    drop(place);
                });
            }
            // Dropped without a word: an answer would cost a handshake.
            Err(reason) => self.refused(reason),
        }
    }

    async fn serve(self, stream: TcpStream, from: IpAddr) {
        let _ = stream.set_nodelay(true);
        let tls = Arc::clone(&self.controller.credentials().tls);
        let stream = match timeout(HANDSHAKE_PATIENCE, TlsAcceptor::from(tls).accept(stream)).await
        {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return self.refused("handshake"),
            Err(_) => return self.refused("slow"),
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let trusted = Arc::new(AtomicBool::new(false));
        let peer = Peer {
            address: from,
            certificate: certificates
                .and_then(|chain| chain.first())
                .map(|der| der.clone().into_owned()),
            trusted: Arc::clone(&trusted),
        };
        let routes = self.routes;
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(peer.clone());
            routes.clone().oneshot(request)
        });
        let builder = builder();
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut end = self.end;
        let mut age = tokio::time::interval(CONNECTION_AGE_MAX);
        age.tick().await;
        loop {
            tokio::select! {
                // How it ended is the peer's own affair.
                _ = connection.as_mut() => return,
                _ = end.changed() => break,
                _ = age.tick() => if !trusted.load(Ordering::Relaxed) { break },
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(END_PATIENCE + super::REQUEST_PATIENCE, connection).await;
    }

    fn refused(&self, reason: &'static str) {
        self.controller.counts.connections_refused.get_or_create(&[("reason", reason)]).inc();
    }
}

fn builder() -> Builder<TokioExecutor> {
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

/// How many connections there are, in all and from each network.
struct Gate {
    most: u32,
    most_per_address: u32,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    count: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// Given back when dropped.
struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    fn enter(gate: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let mut open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.count >= gate.most {
            return Err("limit");
        }
        let mine = open.by_address.entry(address).or_insert(0);
        if *mine >= gate.most_per_address {
            return Err("limit_per_address");
        }
        *mine += 1;
        open.count += 1;
        drop(open);
        Ok(Place { gate: Arc::clone(gate), address })
    }

    fn count(&self) -> u32 {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.count -= 1;
        if let Some(mine) = open.by_address.get_mut(&self.address) {
            *mine -= 1;
            if *mine == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}
