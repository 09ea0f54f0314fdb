//! Who publishes keys, over HTTPS on free ports of loopback: well or badly.

use daemon::answer::{Answer, text};
use daemon::config::Listen;
use daemon::identity::Identity;
use daemon::keys::{Fetching, KeySource};
use daemon::server::{Connections, Limits, Peer, Server, Site};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Request, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;

/// A folder with an authority, a certificate for localhost, and a cache.
pub(crate) struct Bed(TempDir);

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self(tempfile::tempdir().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        bed.write("authority.pem", &params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        bed.write("certificate.pem", &params.signed_by(&key, &issuer).unwrap().pem());
        bed.write("key.pem", &key.serialize_pem());
        bed
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn fetching(&self) -> Fetching {
        Fetching {
            authority: self.path("authority.pem"),
            interval: Duration::from_millis(50),
            cache: self.path("cache"),
        }
    }

    pub(crate) fn publish(&self, said: Said) -> Publisher {
        let identity = Identity::from_files(&self.path("certificate.pem"), &self.path("key.pem"));
        let said = Arc::new(Mutex::new(said));
        let site = Published { said: Arc::clone(&said), tls: identity.unwrap().https() };
        let limits = Limits {
            connections: 100,
            connections_per_address: 100,
            end_patience: Duration::from_millis(10),
        };
        let listen = Listen { addresses: vec![Ipv4Addr::LOCALHOST.into()], port: 0 };
        let server = Server::bind(&listen, limits, Connections::default(), site).unwrap();
        let port = server.addresses()[0].port();
        let (end, ended) = watch::channel(());
        let serving = tokio::spawn(server.serve(ended));
        Publisher { said, port, _end: end, serving }
    }
}

/// What is said.
#[derive(Clone)]
pub(crate) enum Said {
    /// 200 and this.
    Keys(String),
    /// 302 there.
    MovedTo(String),
    /// 500 and this.
    Error(String),
}

/// Runs until it is dropped.
pub(crate) struct Publisher {
    said: Arc<Mutex<Said>>,
    port: u16,
    _end: watch::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Publisher {
    pub(crate) fn say(&self, said: Said) {
        *self.said.lock().unwrap() = said;
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/keys", self.port)
    }

    pub(crate) fn source(&self) -> KeySource {
        KeySource::Url(self.url())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Published {
    said: Arc<Mutex<Said>>,
    tls: Arc<ServerConfig>,
}

impl Site for Published {
    type Body = Full<Bytes>;

    fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.tls)
    }

    async fn answer(&self, _: Request<Incoming>, _: Peer) -> Answer {
        let said = self.said.lock().unwrap().clone();
        match said {
            Said::Keys(keys) => text("application/jwk-set+json", keys),
            Said::MovedTo(url) => {
                let mut answer = text("text/plain", "");
                *answer.status_mut() = StatusCode::FOUND;
                answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&url).unwrap());
                answer
            }
            Said::Error(keys) => {
                let mut answer = text("application/jwk-set+json", keys);
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                answer
            }
        }
    }
}
