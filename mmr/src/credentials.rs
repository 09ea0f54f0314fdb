//! The files a configuration names: certificate, its key, and the zone's public keys. Read at start
//! and at reload.

use crate::Config;
use crate::tls::{Identity, IdentityError, TlsConfigs};
use std::path::Path;
use wire::token::Verifier;

/// What the files hold, checked.
pub struct Credentials {
    /// For the TLS port.
    pub tls: TlsConfigs,
    /// For join tokens.
    pub verifier: Verifier,
}

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}. {remedy}")]
pub struct CredentialError {
    /// The configuration's key that names the file.
    pub key: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl Credentials {
    /// Reads and checks all files.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(config: &Config) -> Result<Self, CredentialError> {
        let identity = Identity::from_files(&config.tls.certificate, &config.tls.key)
            .map_err(|error| wrong_identity(&error, &config.tls.key))?;
        let verifier = read_keys(&config.zone, &config.token_keys)?;
        Ok(Self { tls: TlsConfigs::new(&identity), verifier })
    }
}

fn wrong_identity(error: &IdentityError, key_file: &Path) -> CredentialError {
    let of_key = match error {
        IdentityError::Unreadable { path, .. }
        | IdentityError::NotPem { path, .. }
        | IdentityError::Missing { path, .. } => path == key_file,
        _ => true,
    };
    // These messages end with their own remedy.
    let text = error.to_string();
    let (reason, remedy) = text.rsplit_once("; ").unwrap_or((&text, "mend the file"));
    CredentialError {
        key: if of_key { "tls.key" } else { "tls.certificate" },
        reason: reason.to_owned(),
        remedy: sentence(remedy),
    }
}

fn read_keys(zone: &str, file: &Path) -> Result<Verifier, CredentialError> {
    let wrong = |reason: String, remedy: &str| CredentialError {
        key: "tokens.keys",
        reason: format!("{} {reason}", file.display()),
        remedy: remedy.to_owned(),
    };
    let text = std::fs::read_to_string(file).map_err(|cause| {
        wrong(format!("can't be read: {cause}"), "Name a file that this user may read.")
    })?;
    Verifier::from_jwks(zone, &text).map_err(|cause| {
        let remedy =
            "Get the zone's public keys as JWKS: Ed25519 keys (RFC 8037), each with its own kid.";
        wrong(format!("can't be used: {cause}"), remedy)
    })
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
