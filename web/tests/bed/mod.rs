//! Web infrastructure to test with: certificates, keys and tokens in a folder of their own, instances
//! and controllers on free ports of loopback, and people to ask them.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod controller;
mod postgres;

pub(crate) use controller::Controller;
pub(crate) use postgres::Postgres;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use web::Daemon;
use web::config::Config;
use wire::lookup::{Created, Found, Refusal, Settled};
use wire::token::Signer;

pub(crate) const ZONE: &str = "test";
pub(crate) const OPERATOR: &str = "operator-0123456789-0123456789-0123456789";

/// What instances, controllers and clients share.
pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    pub(crate) signer: Signer,
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let authority_pem = params.self_signed(&key).unwrap().pem();
        let bed = Self {
            dir: tempfile::tempdir().unwrap(),
            signer: Signer::generate(),
            authority: Issuer::new(params, key),
            authority_pem,
        };
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &bed.authority).unwrap().pem();
        bed.write("authority.pem", &bed.authority_pem);
        bed.write("certificate.pem", &certificate);
        bed.write("key.pem", &key.serialize_pem());
        bed.write("signing-key.pem", &bed.signer.private_pem());
        bed.write("operators", OPERATOR);
        bed
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// An instance's configuration as text; without a `[store]` in `more` meetings are in a file.
    pub(crate) fn text(&self, zones: &str, more: &str) -> String {
        let store = if more.contains("[store]") { "" } else { "[store]\nfile = \"web.db\"\n" };
        format!(
            "url = \"https://meet.example.org\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nport = 0\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [tokens]\nsigning_keys = [\"signing-key.pem\"]\n\
             [operators]\ntokens = \"operators\"\n\
             [health]\nauthority = \"authority.pem\"\ninterval = \"1s\"\nlost_after = \"2s\"\n\
             {store}{zones}{more}"
        )
    }

    pub(crate) fn config(&self, zones: &str, more: &str) -> Config {
        Config::parse(&self.dir.path().join("web.toml"), &self.text(zones, more)).unwrap()
    }

    pub(crate) async fn start(&self, zones: &str, more: &str) -> Asked<'_> {
        let daemon = Daemon::start(&self.config(zones, more)).await.unwrap();
        let url = format!("https://localhost:{}", daemon.addresses()[0].port());
        Asked { bed: self, http: self.http(Ipv4Addr::LOCALHOST.into()), daemon, url }
    }

    /// A controller of the zone, and an instance that knows it.
    pub(crate) async fn start_whole(&self, more: &str) -> (Controller, Asked<'_>) {
        let controller = Controller::start(self, ZONE);
        let web = self.start(&controller.zone(""), more).await;
        (controller, web)
    }

    /// A client at this address of loopback.
    pub(crate) fn http(&self, from: IpAddr) -> reqwest::Client {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
        builder.local_address(from).build().unwrap()
    }
}

/// An instance with somebody to ask it.
pub(crate) struct Asked<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) http: reqwest::Client,
    pub(crate) daemon: Daemon,
    pub(crate) url: String,
}

impl Asked<'_> {
    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).json(body)
    }

    /// As an operator: status and JSON.
    pub(crate) async fn operate(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        ask(request.bearer_auth(OPERATOR)).await
    }

    pub(crate) async fn create(&self, title: &str) -> Created {
        let (status, made) =
            self.operate(self.post("/v1/meetings", &json!({ "title": title }))).await;
        assert_eq!(status, 201, "{made}");
        read(made)
    }

    pub(crate) async fn end(&self, meeting: &str) -> u16 {
        self.operate(self.post(&format!("/v1/meetings/{meeting}/end"), &json!(null))).await.0
    }

    pub(crate) async fn look_up(&self, meeting: &str, passcode: &str) -> Result<Found, Refusal> {
        self.look_up_from(&self.http, meeting, passcode).await
    }

    pub(crate) async fn look_up_from(
        &self,
        http: &reqwest::Client,
        meeting: &str,
        passcode: &str,
    ) -> Result<Found, Refusal> {
        let body = json!({ "meeting": meeting, "passcode": passcode, "name": "ada" });
        let (status, answer) = ask(http.post(format!("{}/v1/lookup", self.url)).json(&body)).await;
        if status == 200 {
            return Ok(read(answer));
        }
        let refusal: Refusal = read(answer);
        assert_eq!(refusal.code.status(), status);
        Err(refusal)
    }

    /// With this token: status and JSON.
    pub(crate) async fn settle(&self, token: &str) -> (u16, Value) {
        ask(self.http.post(format!("{}/v1/settle", self.url)).bearer_auth(token)).await
    }

    /// The zone a meeting is settled in by who prefers this one.
    pub(crate) async fn settle_for(&self, found: &Found, zone: &str) -> String {
        let offer = found.zones.iter().find(|offer| offer.zone == zone).unwrap();
        let (status, settled) = self.settle(&offer.token).await;
        assert_eq!(status, 200, "{settled}");
        read::<Settled>(settled).zone
    }

    pub(crate) async fn metrics(&self) -> String {
        let answer = self.get("/metrics").bearer_auth(OPERATOR).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

/// Status and JSON, null for none.
pub(crate) async fn ask(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

pub(crate) fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
