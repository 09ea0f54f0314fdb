//! The files a configuration names: certificates, keys and tokens. Read at start and at SIGHUP.

use crate::config::{Config, Etcd, TlsFiles};
use ::daemon::bearer::Bearers;
use ::daemon::credential::CredentialError;
use ::daemon::identity::{https_protocols, provider, roots};
use ::daemon::keys::Sources;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use wire::token::{KeyError, Signer, TicketVerifier, Verifier};

/// What the files hold, checked.
#[derive(Clone)]
pub struct Credentials {
    /// For the listener.
    pub(crate) tls: Arc<ServerConfig>,
    /// For join tokens.
    pub(crate) verifier: Arc<Verifier>,
    /// For tickets.
    pub(crate) tickets: Arc<TicketVerifier>,
    /// Makes both.
    pub(crate) signer: Arc<Signer>,
    /// Of agents.
    pub(crate) agents: Arc<Bearers>,
    /// Of operators.
    pub(crate) operators: Arc<Bearers>,
}

impl Credentials {
    /// Reads and checks all files but those of `join_keys`, which are the join tokens'.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(config: &Config, join_keys: &Sources) -> Result<Self, CredentialError> {
        let tokens = &config.tokens;
        let pem = ::daemon::credential::text("tokens.signing_key", &tokens.signing_key)?;
        let signer = Signer::from_pem(&pem).map_err(|cause| CredentialError {
            key: "tokens.signing_key",
            reason: format!("{} can't be used: {cause}", tokens.signing_key.display()),
            remedy: "Make a key with `openssl genpkey -algorithm ed25519`, the same for all controllers.".into(),
        })?;
        let own = signer.public_jwks();
        let (file, keys) = match &tokens.ticket_keys {
            Some(file) => (file, ::daemon::credential::text("tokens.ticket_keys", file)?),
            None => (&tokens.signing_key, own),
        };
        let tickets = TicketVerifier::from_jwks(&config.zone, &keys)
            .map_err(|cause| wrong_keys("tokens.ticket_keys", file, &cause))?;
        let agents = Bearers::load("agents.tokens", config.agents.tokens.as_deref())?;
        let operators = Bearers::load("operators.tokens", config.operators.as_deref())?;
        Ok(Self {
            tls: server_config(config)?,
            verifier: Arc::new(Verifier::new(&[&config.zone], join_keys.keys())),
            tickets: Arc::new(tickets),
            signer: Arc::new(signer),
            agents: Arc::new(agents),
            operators: Arc::new(operators),
        })
    }

    /// The same with other keys of join tokens.
    pub(crate) fn with_keys(&self, zone: &str, keys: &Sources) -> Self {
        Self { verifier: Arc::new(Verifier::new(&[zone], keys.keys())), ..self.clone() }
    }
}

fn wrong_keys(key: &'static str, file: &Path, cause: &KeyError) -> CredentialError {
    CredentialError {
        key,
        reason: format!("{} can't be used: {cause}", file.display()),
        remedy: "Write the public keys as JWKS: Ed25519 keys (RFC 8037), each with its own kid."
            .into(),
    }
}

/// TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1. Who has a certificate of the agents' authority may show it.
fn server_config(config: &Config) -> Result<Arc<ServerConfig>, CredentialError> {
    let TlsFiles { certificate, key } = &config.tls;
    let identity =
        ::daemon::credential::identity(("tls.certificate", certificate), ("tls.key", key))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the suites of both versions");
    let builder = match &config.agents.authority {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = authority("agents.authority", file)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .allow_unauthenticated()
                .build()
                .map_err(|cause| CredentialError {
                    key: "agents.authority",
                    reason: format!("{} can't be used: {cause}", file.display()),
                    remedy: "Name the authority's own certificate.".into(),
                })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut tls = builder.with_cert_resolver(identity.resolver());
    tls.alpn_protocols = https_protocols();
    Ok(Arc::new(tls))
}

fn authority(key: &'static str, file: &Path) -> Result<RootCertStore, CredentialError> {
    roots(file).map_err(|error| CredentialError::of_file(key, &error))
}

/// How etcd is talked to.
///
/// # Errors
/// When a file it names can't be used.
pub(crate) fn etcd_client(etcd: &Etcd) -> Result<reqwest::Client, CredentialError> {
    let roots = match &etcd.authority {
        Some(file) => authority("store.authority", file)?,
        // Plain HTTP then; an HTTPS endpoint is not trusted.
        None => RootCertStore::empty(),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the suites of both versions")
        .with_root_certificates(roots);
    let tls = match &etcd.identity {
        Some(pair) => {
            let certificate = ("store.certificate", pair.certificate.as_path());
            let identity =
                ::daemon::credential::identity(certificate, ("store.key", pair.key.as_path()))?;
            builder.with_client_cert_resolver(identity.resolver())
        }
        None => builder.with_no_client_auth(),
    };
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().map_err(|cause| {
        CredentialError {
            key: "store.endpoints",
            reason: format!("no HTTP client can be made: {cause}"),
            remedy: "Allow more memory and open files.".into(),
        }
    })
}
