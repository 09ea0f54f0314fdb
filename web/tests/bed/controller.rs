//! A zone controller, as far as health checks see it.

use super::Bed;
use daemon::answer::{Answer, json};
use daemon::config::Listen;
use daemon::server::{Connections, Limits, Peer, Server, Site};
use http_body_util::Full;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use rustls::ServerConfig;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use wire::zone::Pong;

/// Answers pings until it is told not to, or dropped.
pub(crate) struct Controller {
    pub(crate) url: String,
    zone: String,
    well: Arc<AtomicBool>,
    _end: watch::Sender<()>,
}

#[derive(Clone)]
struct Answering {
    zone: String,
    well: Arc<AtomicBool>,
    tls: Arc<ServerConfig>,
}

impl Controller {
    pub(crate) fn start(bed: &Bed, zone: &str) -> Self {
        let folder = bed.dir.path();
        let files = (folder.join("certificate.pem"), folder.join("key.pem"));
        let identity = daemon::identity::Identity::from_files(&files.0, &files.1).unwrap();
        let well = Arc::new(AtomicBool::new(true));
        let site =
            Answering { zone: zone.to_owned(), well: Arc::clone(&well), tls: identity.https() };
        let limits = Limits {
            connections: 100,
            connections_per_address: 100,
            end_patience: Duration::from_millis(10),
        };
        let listen = Listen { addresses: vec![Ipv4Addr::LOCALHOST.into()], port: 0 };
        let server = Server::bind(&listen, limits, Connections::default(), site).unwrap();
        let url = format!("https://localhost:{}", server.addresses()[0].port());
        let (end, ended) = watch::channel(());
        tokio::spawn(server.serve(ended));
        Self { url, zone: zone.to_owned(), well, _end: end }
    }

    /// Whether it is well from now on.
    pub(crate) fn is_well(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }

    /// Its zone, as it stands in a configuration; `more` goes behind it.
    pub(crate) fn zone(&self, more: &str) -> String {
        format!("[[zones]]\nname = \"{}\"\ncontrollers = [\"{}\"]\n{more}", self.zone, self.url)
    }
}

impl Site for Answering {
    type Body = Full<Bytes>;

    fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.tls)
    }

    async fn answer(&self, request: Request<Incoming>, _: Peer) -> Answer {
        let well = self.well.load(Ordering::Relaxed) && request.uri().path() == "/v1/ping";
        json(if well { 200 } else { 503 }, &Pong { zone: self.zone.clone(), room: true })
    }
}
