//! A zone to test with: certificates, keys and tokens in a folder of their own, controllers on free
//! ports of loopback, and clients, agents and operators to ask them.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod etcd;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use wire::Kind;
use wire::control::Secret;
use wire::token::{Claims, Role, Signer};
use wire::zone::{Assign, Assignment, Refusal};
use zone_controller::Daemon;
use zone_controller::config::Config;

pub(crate) const ZONE: &str = "test";
pub(crate) const OPERATOR: &str = "operator-0123456789-0123456789-0123456789";
pub(crate) const AGENT: &str = "agent-0123456789-0123456789-0123456789";

/// What all controllers of a zone share.
pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    /// The web infrastructure's.
    pub(crate) web: Signer,
    /// The controllers'.
    pub(crate) own: Signer,
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
    /// Counts tokens and reports.
    next: AtomicU64,
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

impl Bed {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let authority_pem = params.self_signed(&key).unwrap().pem();
        let bed = Self {
            dir: tempfile::tempdir().unwrap(),
            web: Signer::generate(),
            own: Signer::generate(),
            authority: Issuer::new(params, key),
            authority_pem,
            next: AtomicU64::new(1),
        };
        let (certificate, key) = bed.certificate("localhost");
        bed.write("authority.pem", &bed.authority_pem);
        bed.write("certificate.pem", &certificate);
        bed.write("key.pem", &key);
        bed.write("token-keys.json", &bed.web.public_jwks());
        bed.write("signing-key.pem", &bed.own.private_pem());
        bed.write("operators", OPERATOR);
        bed.write("agents", AGENT);
        bed
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// A certificate of the zone's authority: PEM of it and of its key.
    pub(crate) fn certificate(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap().pem(), key.serialize_pem())
    }

    /// A controller's configuration as text; `more` goes behind it.
    pub(crate) fn text(&self, name: &str, more: &str) -> String {
        format!(
            "zone = \"{ZONE}\"\nname = \"{name}\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nport = 0\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [tokens]\nkeys = \"token-keys.json\"\nsigning_key = \"signing-key.pem\"\n\
             [agents]\nauthority = \"authority.pem\"\ntokens = \"agents\"\n\
             [operators]\ntokens = \"operators\"\n{more}"
        )
    }

    pub(crate) fn config(&self, name: &str, more: &str) -> Config {
        Config::parse(&self.dir.path().join(format!("{name}.toml")), &self.text(name, more))
            .unwrap()
    }

    /// A controller with a store of its own in a file.
    pub(crate) fn controller(&self, name: &str, more: &str) -> Asked<'_> {
        let store = format!("[store]\nfile = \"{name}.redb\"\n{more}");
        self.start(&self.config(name, &store))
    }

    pub(crate) fn start(&self, config: &Config) -> Asked<'_> {
        let daemon = Daemon::start(config).unwrap();
        let url = format!("https://localhost:{}", daemon.addresses()[0].port());
        Asked { bed: self, http: self.http(None), daemon: Some(daemon), url }
    }

    /// A client that trusts the zone's authority, with this certificate of it.
    pub(crate) fn http(&self, name: Option<&str>) -> reqwest::Client {
        let tls = self.tls(name);
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
    }

    pub(crate) fn tls(&self, name: Option<&str>) -> rustls::ClientConfig {
        match name.map(|name| self.certificate(name)) {
            None => self.trusting().with_no_client_auth(),
            Some((certificate, key)) => self.tls_with(&certificate, &key),
        }
    }

    /// Trusts the zone's authority, and shows this certificate.
    pub(crate) fn tls_with(&self, certificate: &str, key: &str) -> rustls::ClientConfig {
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        self.trusting().with_client_auth_cert(chain, key).unwrap()
    }

    fn trusting(&self) -> rustls::ConfigBuilder<rustls::ClientConfig, WantsClientCert> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }

    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// What a join token says.
    pub(crate) fn claims(&self, meeting: &str, participant: &str) -> Claims {
        let now = now_s();
        Claims {
            aud: ZONE.into(),
            meeting: meeting.into(),
            sub: participant.into(),
            role: Role::Attendee,
            kinds: Kind::ALL.to_vec(),
            iat: now,
            exp: now + 300,
            jti: format!("jti-{}", self.number()),
        }
    }

    /// What a newcomer asks.
    pub(crate) fn assign(&self, meeting: &str) -> Assign {
        let claims = self.claims(meeting, &format!("p{}", self.number()));
        assign(meeting, &self.web.sign(&claims))
    }

    /// A report of an MMR that serves.
    pub(crate) fn report(&self, mmr: &str, stress: f64) -> serde_json::Value {
        let name = format!("{mmr}.example.org");
        serde_json::json!({
            "v": 1, "mmr": mmr, "zone": ZONE, "epoch_ms": 1, "sequence": self.number(),
            "interval_ms": 1_000, "state": "serving", "agent": "0",
            "control": { "name": name, "addresses": ["192.0.2.7:443"] },
            "stress": { "value": stress, "resource": "worker", "level": "normal", "resources": [] },
            "headroom": { "participants": 100, "stress_per_participant": 0.001, "measured": true },
            "host": wire::load::HostLoad::default(),
        })
    }
}

pub(crate) fn assign(meeting: &str, token: &str) -> Assign {
    Assign {
        meeting: meeting.into(),
        kinds: Kind::ALL.to_vec(),
        token: Secret(token.into()),
        attempt: None,
        failed: None,
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A controller with somebody to ask it.
pub(crate) struct Asked<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) http: reqwest::Client,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) url: String,
}

impl Asked<'_> {
    /// Status and body.
    pub(crate) async fn ask(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str, body: &impl Serialize) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).json(body)
    }

    pub(crate) async fn assign(&self, assign: &Assign) -> Result<Assignment, Refusal> {
        let (status, body) = self.ask(self.post("/v1/assign", assign)).await;
        if status == 200 {
            Ok(serde_json::from_str(&body).unwrap())
        } else {
            let refusal: Refusal = serde_json::from_str(&body).unwrap();
            assert_eq!(refusal.code.status(), status);
            Err(refusal)
        }
    }

    /// Reports as the agent of an MMR; answers the reply.
    pub(crate) async fn report(&self, mmr: &str, stress: f64) -> serde_json::Value {
        let report = self.bed.report(mmr, stress);
        self.send_report(&report).await
    }

    pub(crate) async fn send_report(&self, report: &serde_json::Value) -> serde_json::Value {
        let request = self.post("/v1/report", report).bearer_auth(AGENT);
        let (status, body) = self.ask(request).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn zone(&self) -> wire::zone::ZoneState {
        let (status, body) = self.ask(self.get("/v1/zone").bearer_auth(OPERATOR)).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Until the store was heard of.
    pub(crate) async fn ready(&self) {
        for _ in 0..400 {
            if self.zone().await.store_reachable {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("the store was not reached");
    }

    /// As a process that is killed.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }
}
