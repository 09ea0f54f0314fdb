//! The files a configuration names: certificate, its key, and the zone's public keys, which may be
//! elsewhere. Read at start and at reload.

use crate::Config;
use crate::tls::TlsConfigs;
pub use daemon::credential::CredentialError;
use daemon::keys::{Keys, Reading};
use wire::token::Verifier;

/// What the files hold, checked.
pub struct Credentials {
    /// For the TLS port.
    pub tls: TlsConfigs,
    /// For join tokens.
    pub verifier: Verifier,
    /// The keys the verifier has.
    pub keys: Reading,
}

impl Credentials {
    /// Reads and checks all files; keys that must be fetched are those that `keys` knows already.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(config: &Config, keys: &Keys) -> Result<Self, CredentialError> {
        let identity = daemon::credential::identity(
            ("tls.certificate", &config.tls.certificate),
            ("tls.key", &config.tls.key),
        )?;
        let keys = keys.read("tokens.keys", &config.token_keys, &config.fetching)?;
        let verifier = Verifier::new(&[&config.zone], keys.sources().keys());
        Ok(Self { tls: TlsConfigs::new(&identity), verifier, keys })
    }
}
