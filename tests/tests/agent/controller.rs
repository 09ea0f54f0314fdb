//! A controller that remembers what it heard and says what it is told to: HTTPS with client certificates.

use crate::PATIENCE;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::authority::Authority;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use wire::load::{PATH, Reply, Report, VERSION};

/// One report as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Instant,
    pub report: Report,
    pub version: Version,
    /// Counts connections.
    pub connection: u64,
    pub authorization: Option<String>,
    /// The client's certificate, if it showed one.
    pub certificate: Option<Vec<u8>>,
}

/// Runs until dropped.
pub struct Controller {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    heard: Mutex<Vec<Heard>>,
    reply: Mutex<Reply>,
    acceptor: Mutex<TlsAcceptor>,
    connections: AtomicU64,
}

impl Controller {
    /// On a free port; wants certificates of the zone.
    pub async fn start(zone: &Authority) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), zone, true).await
    }

    /// As [`Controller::start`], on this address, and without certificates if tokens are to do.
    pub async fn start_at(address: SocketAddr, zone: &Authority, certificates: bool) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(16).unwrap();
        let shared = Arc::new(Shared {
            heard: Mutex::default(),
            reply: Mutex::new(Reply { v: VERSION, wanted: None, list_meetings: false }),
            acceptor: Mutex::new(acceptor(zone, certificates)),
            connections: AtomicU64::new(0),
        });
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on as a controller of this zone; connections that stand stay.
    pub fn move_to(&self, zone: &Authority) {
        *self.shared.acceptor.lock().unwrap() = acceptor(zone, true);
    }

    /// Changes what it says.
    pub fn reply(&self, change: impl FnOnce(&mut Reply)) {
        change(&mut self.shared.reply.lock().unwrap());
    }

    pub fn newest(&self) -> Heard {
        self.shared.heard.lock().unwrap().last().unwrap().clone()
    }

    /// Everything it heard.
    pub fn all(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// The first report from now on of which `wanted` is true.
    pub async fn hears(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let deadline = Instant::now() + PATIENCE;
        let mut next = self.shared.heard.lock().unwrap().len();
        loop {
            {
                let heard = self.shared.heard.lock().unwrap();
                if let Some(heard) = heard[next..].iter().find(|heard| wanted(heard)) {
                    return heard.clone();
                }
                next = heard.len();
                assert!(Instant::now() < deadline, "not heard; the last was {:?}", heard.last());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(zone: &Authority, certificates: bool) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if certificates {
        let roots = Arc::new(zone.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        builder.with_client_cert_verifier(verifier.unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let (chain, key) = zone.issue("127.0.0.1").der();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the controller.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let acceptor = shared.acceptor.lock().unwrap().clone();
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let number = shared.connections.fetch_add(1, Ordering::Relaxed);
            let certificate = stream.get_ref().1.peer_certificates().map(|all| all[0].to_vec());
            let service = service_fn(move |request| {
                answer(request, Arc::clone(&shared), number, certificate.clone())
            });
            // An agent that goes ends its connection as it likes.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: u64,
    certificate: Option<Vec<u8>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    assert_eq!((head.method, head.uri.path()), (Method::POST, PATH));
    let authorization = head.headers.get(AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
    if certificate.is_none() && authorization.is_none() {
        let response = Response::builder().status(StatusCode::UNAUTHORIZED);
        return Ok(response.body(Full::default()).unwrap());
    }
    let Ok(body) = body.collect().await else { return Ok(Response::new(Full::default())) };
    let report = Report::parse(&body.to_bytes()).unwrap();
    let heard = Heard { at, report, version: head.version, connection, authorization, certificate };
    shared.heard.lock().unwrap().push(heard);
    let reply = serde_json::to_vec(&*shared.reply.lock().unwrap()).unwrap();
    Ok(Response::new(Full::from(reply)))
}
