//! The agent's side of HTTPS: whom it trusts, and how it proves who it is.

use crate::config::Controllers;
use daemon::credential::{CredentialError, identity, text};
use daemon::identity::{provider, roots};
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use std::path::Path;
use std::time::Duration;

/// Between a lost controller and the moment its connection is given up.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Speaks HTTPS with the files' content as it was when they were read.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) http: reqwest::Client,
    /// `Bearer …`, marked as sensitive: never logged.
    pub(super) authorization: Option<HeaderValue>,
}

impl Client {
    /// Reads the files.
    ///
    /// # Errors
    /// The first that can't be used.
    pub(crate) fn load(config: &Controllers) -> Result<Self, CredentialError> {
        let tls = tls(config)?;
        let authorization = config.token.as_deref().map(bearer).transpose()?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .build()
            .map_err(|cause| CredentialError {
                key: "controllers.ca",
                reason: format!("no HTTPS with these files: {cause}"),
                remedy: "Have the certificates issued again.".to_owned(),
            })?;
        Ok(Self { http, authorization })
    }
}

fn tls(config: &Controllers) -> Result<ClientConfig, CredentialError> {
    let roots =
        roots(&config.ca).map_err(|error| CredentialError::of_file("controllers.ca", &error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let mut tls = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let identity =
                identity(("controllers.certificate", certificate), ("controllers.key", key))?;
            builder.with_client_cert_resolver(identity.resolver())
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

fn bearer(file: &Path) -> Result<HeaderValue, CredentialError> {
    let token = text("controllers.token", file)?;
    let wrong = || CredentialError {
        key: "controllers.token",
        reason: format!("{} holds no bearer token", file.display()),
        remedy: "Write the token alone into it, on one line.".to_owned(),
    };
    let token = token.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(value)
}
