//! A tunnel to test with: certificates and keys in a folder of their own, tunnels and targets on free
//! ports of loopback, and clients over HTTP/1.1 and HTTP/2.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod client;
mod target;

pub(crate) use client::{Answer, Client, Stream, VERSIONS, Version, tls};
pub(crate) use target::Target;

use http_tunnel::Daemon;
use http_tunnel::config::Config;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use wire::Kind;
use wire::token::{Claims, Role, Signer, Ticket};

pub(crate) const ZONE: &str = "test";
pub(crate) const OPERATOR: &str = "operator-0123456789-0123456789-0123456789";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What tunnels, targets and clients share.
pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    /// Of the web infrastructure.
    pub(crate) web: Signer,
    /// Of the zone's controllers.
    pub(crate) zone: Signer,
    authority: Issuer<'static, KeyPair>,
    authority_der: CertificateDer<'static>,
    next: AtomicU64,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let authority_der = params.self_signed(&key).unwrap().der().clone();
        let bed = Self {
            dir: tempfile::tempdir().unwrap(),
            web: Signer::generate(),
            zone: Signer::generate(),
            authority: Issuer::new(params, key),
            authority_der,
            next: AtomicU64::new(1),
        };
        let (certificate, key) = bed.certificate();
        bed.write("certificate.pem", &certificate);
        bed.write("key.pem", &key);
        bed.write("keys.json", &both(&bed.web.public_jwks(), &bed.zone.public_jwks()));
        bed.write("operators", OPERATOR);
        bed
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// For localhost, of the bed's authority.
    fn certificate(&self) -> (String, String) {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap().pem(), key.serialize_pem())
    }

    /// For a server of the bed's authority.
    pub(crate) fn server_tls(&self) -> rustls::ServerConfig {
        let (certificate, key) = self.certificate();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
        rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from(key))
            .unwrap()
    }

    /// Trusts the bed's authority.
    pub(crate) fn client_tls(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority_der.clone()).unwrap();
        rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A tunnel's configuration as text: one zone with these targets; `more` goes behind it.
    pub(crate) fn text(&self, targets: &[&str], more: &str) -> String {
        format!(
            "[listen]\naddresses = [\"127.0.0.1\"]\nport = 0\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [[zones]]\nname = \"{ZONE}\"\nkeys = \"keys.json\"\ncontrollers = {targets:?}\n\
             [operators]\ntokens = \"operators\"\n{more}"
        )
    }

    pub(crate) fn config(&self, targets: &[&str], more: &str) -> Config {
        Config::parse(&self.dir.path().join("tunnel.toml"), &self.text(targets, more)).unwrap()
    }

    pub(crate) fn tunnel(&self, targets: &[&str], more: &str) -> Tunnel<'_> {
        let daemon = Daemon::start(&self.config(targets, more)).unwrap();
        Tunnel { bed: self, address: daemon.addresses()[0], daemon }
    }

    /// What a join token of a new participant says.
    pub(crate) fn claims(&self) -> Claims {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let now = now_s();
        Claims {
            aud: ZONE.into(),
            meeting: "standup".into(),
            sub: format!("p{number}"),
            role: Role::Attendee,
            kinds: Kind::ALL.to_vec(),
            iat: now,
            exp: now + 300,
            jti: format!("jti-{number}"),
        }
    }

    /// The join token of a new participant.
    pub(crate) fn token(&self) -> String {
        self.web.sign(&self.claims())
    }

    /// The ticket of a new participant.
    pub(crate) fn ticket(&self) -> String {
        self.zone.sign_ticket(&Ticket::of(&self.claims(), now_s(), 3_600))
    }
}

/// A tunnel that runs.
pub(crate) struct Tunnel<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) address: SocketAddr,
    pub(crate) daemon: Daemon,
}

impl Tunnel<'_> {
    /// A connection to it.
    pub(crate) async fn client(&self, version: Version) -> Client {
        Client::connect(self.bed, self.address, version).await
    }

    /// A connection that is a tunnel now.
    pub(crate) async fn open(&self, version: Version, token: &str, target: &str) -> Stream {
        match self.client(version).await.ask(Some(token), target).await {
            Answer::Open(stream) => stream,
            Answer::Refused { status, body, .. } => panic!("{status}: {body}"),
        }
    }

    /// The status and code of a refusal.
    pub(crate) async fn refused(
        &self,
        version: Version,
        token: Option<&str>,
        target: &str,
    ) -> (u16, String) {
        match self.client(version).await.ask(token, target).await {
            Answer::Open(_) => panic!("a tunnel to {target}"),
            Answer::Refused { status, code, .. } => (status, code),
        }
    }

    /// Metrics as an operator sees them.
    pub(crate) async fn metrics(&self) -> String {
        let header = ("authorization", format!("Bearer {OPERATOR}"));
        self.client(Version::Http1).await.get("/metrics", Some(header)).await.1
    }

    /// The value of the metric whose line begins so.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Two JWKS as one.
fn both(one: &str, other: &str) -> String {
    let keys = |text| serde_json::from_str::<serde_json::Value>(text).unwrap()["keys"][0].clone();
    serde_json::json!({ "keys": [keys(one), keys(other)] }).to_string()
}

/// Bytes that repeat nowhere near.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len / 8 + 1).flat_map(|_| next().to_le_bytes()).take(len).collect()
}
