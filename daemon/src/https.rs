//! Asks others by HTTPS: no proxy, no redirects, an answer of bounded length in bounded time.

use crate::credential::CredentialError;
use crate::identity::{provider, roots};
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Who signs most certificates there are, as Debian has them.
pub const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Asks.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    patience: Duration,
}

/// Why there is no answer. For people; without the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody was reached, or nobody who could prove who they are.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// Something else than 200.
    #[error("status {0}")]
    Status(u16),
    /// Longer than is read.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
}

impl Client {
    /// Trusts who has a certificate of the authority that the configuration's `key` names, and gives
    /// each answer so long.
    ///
    /// # Errors
    /// When the file can't be used.
    pub fn new(
        key: &'static str,
        authority: &Path,
        patience: Duration,
    ) -> Result<Self, CredentialError> {
        let roots = roots(authority).map_err(|error| CredentialError::of_file(key, &error))?;
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has the suites of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let http = builder.no_proxy().redirect(Policy::none()).https_only(true).build();
        let http = http.map_err(|cause| CredentialError {
            key,
            reason: format!("no HTTP client can be made: {cause}"),
            remedy: "Allow more memory and open files.".into(),
        })?;
        Ok(Self { http, patience })
    }

    /// The body of a 200.
    ///
    /// # Errors
    /// When there is none, or a longer one.
    pub async fn get(&self, url: &str, len_max: usize) -> Result<Vec<u8>, AskError> {
        timeout(self.patience, self.read(url, len_max)).await.map_err(|_| AskError::TimedOut)?
    }

    async fn read(&self, url: &str, len_max: usize) -> Result<Vec<u8>, AskError> {
        let mut answer = self.http.get(url).send().await.map_err(unreachable)?;
        if answer.status().as_u16() != 200 {
            return Err(AskError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&piece);
            if body.len() > len_max {
                return Err(AskError::TooLong(len_max));
            }
        }
        Ok(body)
    }
}

/// What lies at the bottom of it: what lies on top says no more than that it failed.
#[allow(clippy::needless_pass_by_value, reason = "map_err gives it away")]
fn unreachable(error: reqwest::Error) -> AskError {
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    AskError::Unreachable(cause.to_string())
}
