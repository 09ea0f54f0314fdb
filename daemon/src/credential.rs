//! Files that a configuration names: what is said when one can't be used, at the line that names it.

use crate::config::{ConfigError, line_of};
use crate::identity::{Identity, IdentityError};
use std::path::Path;

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

impl CredentialError {
    /// The same, with its place in the configuration file.
    pub fn located(&self, file: &Path) -> ConfigError {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        ConfigError {
            file: file.to_owned(),
            line: line_of(&text, self.key),
            key: Some(self.key.to_owned()),
            reason: self.reason.clone(),
            remedy: self.remedy.clone(),
        }
    }

    /// What is wrong with the file of `key`, when only one file is meant.
    pub fn of_file(key: &'static str, error: &IdentityError) -> Self {
        // These messages end with their own remedy.
        let text = error.to_string();
        let (reason, remedy) = text.rsplit_once("; ").unwrap_or((&text, "mend the file"));
        Self { key, reason: reason.to_owned(), remedy: sentence(remedy) }
    }
}

/// Certificate chain and key, named by the configuration's keys `certificate.0` and `key.0`.
///
/// # Errors
/// When they can't be used.
pub fn identity(
    certificate: (&'static str, &Path),
    key: (&'static str, &Path),
) -> Result<Identity, CredentialError> {
    Identity::from_files(certificate.1, key.1).map_err(|error| {
        let of_key = match &error {
            IdentityError::Unreadable { path, .. }
            | IdentityError::NotPem { path, .. }
            | IdentityError::Missing { path, .. } => path == key.1,
            IdentityError::Unusable { .. } | IdentityError::Untrusted { .. } => true,
        };
        CredentialError::of_file(if of_key { key.0 } else { certificate.0 }, &error)
    })
}

/// A text file.
///
/// # Errors
/// When it can't be read.
pub fn text(key: &'static str, file: &Path) -> Result<String, CredentialError> {
    std::fs::read_to_string(file).map_err(|cause| CredentialError {
        key,
        reason: format!("{} can't be read: {cause}", file.display()),
        remedy: "Name a file that this user may read.".to_owned(),
    })
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
