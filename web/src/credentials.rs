//! The files a configuration names: certificate, keys, tokens, places. Read at start and at SIGHUP.

use crate::config::{Config, Store};
use crate::places::Places;
use crate::zones::Zones;
use ::daemon::bearer::Bearers;
use ::daemon::credential::{CredentialError, identity, text};
use rustls::ServerConfig;
use std::path::Path;
use std::sync::Arc;
use wire::token::{PublicKeys, Signer, Verifier, public_jwks};

/// What the files hold, checked.
pub(crate) struct Credentials {
    pub(crate) tls: Arc<ServerConfig>,
    /// The first signs.
    pub(crate) signers: Vec<Signer>,
    /// Of the tokens they made, for every zone.
    pub(crate) verifier: Verifier,
    pub(crate) operators: Bearers,
    pub(crate) places: Places,
}

impl Credentials {
    /// Reads and checks all files.
    ///
    /// # Errors
    /// The first that can't be used.
    pub(crate) fn load(config: &Config, zones: &Zones) -> Result<Self, CredentialError> {
        let certificate = ("tls.certificate", config.tls.certificate.as_path());
        let signers: Vec<Signer> =
            config.signing_keys.iter().map(|file| signer(file)).collect::<Result<_, _>>()?;
        for (at, one) in signers.iter().enumerate() {
            if signers[..at].iter().any(|other| other.kid() == one.kid()) {
                return Err(CredentialError {
                    key: KEYS,
                    reason: format!("{} is there twice", config.signing_keys[at].display()),
                    remedy: "List each key once.".into(),
                });
            }
        }
        let names: Vec<&str> = zones.names().collect();
        let public = PublicKeys::from_jwks(&public_jwks(&signers));
        let public = public.expect("each signer has a name of its own");
        Ok(Self {
            verifier: Verifier::new(&names, public),
            tls: identity(certificate, ("tls.key", config.tls.key.as_path()))?.https(),
            signers,
            operators: Bearers::load("operators.tokens", config.operators.as_deref())?,
            places: Places::load(config.geo_database.as_deref())?,
        })
    }

    /// Signs join tokens.
    pub(crate) fn signer(&self) -> &Signer {
        self.signers.first().expect("the configuration lists one key at least")
    }
}

const KEYS: &str = "tokens.signing_keys";

fn signer(file: &Path) -> Result<Signer, CredentialError> {
    Signer::from_pem(&text(KEYS, file)?).map_err(|cause| CredentialError {
        key: KEYS,
        reason: format!("{} can't be used: {cause}", file.display()),
        remedy: "Make a key with `openssl genpkey -algorithm ed25519`, the same for all instances."
            .into(),
    })
}

/// Where the store's database is.
pub(crate) fn store_url(store: &Store) -> Result<String, CredentialError> {
    match store {
        // Made when there is none; other characters of the path than these are written as they are.
        Store::Sqlite(file) => Ok(format!(
            "sqlite://{}?mode=rwc",
            file.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
        )),
        Store::Postgres(file) => {
            let text = text("store.url_file", file)?;
            let url = text.trim();
            if url.starts_with("postgres://") || url.starts_with("postgresql://") {
                return Ok(url.to_owned());
            }
            Err(CredentialError {
                key: "store.url_file",
                reason: format!("{} holds no URL of a PostgreSQL database", file.display()),
                remedy: "Write postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full into it."
                    .into(),
            })
        }
    }
}
