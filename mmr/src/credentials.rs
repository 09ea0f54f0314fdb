//! The files a configuration names: certificate, its key, and the zone's public keys. Read at start
//! and at reload.

use crate::Config;
use crate::tls::TlsConfigs;
pub use daemon::credential::CredentialError;
use std::path::Path;
use wire::token::Verifier;

/// What the files hold, checked.
pub struct Credentials {
    /// For the TLS port.
    pub tls: TlsConfigs,
    /// For join tokens.
    pub verifier: Verifier,
}

impl Credentials {
    /// Reads and checks all files.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(config: &Config) -> Result<Self, CredentialError> {
        let identity = daemon::credential::identity(
            ("tls.certificate", &config.tls.certificate),
            ("tls.key", &config.tls.key),
        )?;
        let verifier = read_keys(&config.zone, &config.token_keys)?;
        Ok(Self { tls: TlsConfigs::new(&identity), verifier })
    }
}

fn read_keys(zone: &str, file: &Path) -> Result<Verifier, CredentialError> {
    let text = daemon::credential::text("tokens.keys", file)?;
    Verifier::from_jwks(zone, &text).map_err(|cause| CredentialError {
        key: "tokens.keys",
        reason: format!("{} can't be used: {cause}", file.display()),
        remedy:
            "Get the zone's public keys as JWKS: Ed25519 keys (RFC 8037), each with its own kid."
                .to_owned(),
    })
}
