//! Bearer tokens (RFC 6750): those of a file, and those a request shows.

use crate::credential::{CredentialError, text};
use crate::digest::digest;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use std::path::Path;

/// Bearer tokens: kept as digests, compared in constant time.
#[derive(Default)]
pub struct Bearers(Vec<[u8; 32]>);

/// Shorter ones could be guessed.
const BEARER_LEN_MIN: usize = 32;

impl Bearers {
    /// One a line of the file that the configuration's `key` names; none without a file.
    ///
    /// # Errors
    /// When it can't be read, or has none, or one that could be guessed.
    pub fn load(key: &'static str, file: Option<&Path>) -> Result<Self, CredentialError> {
        let Some(file) = file else { return Ok(Self::default()) };
        let text = text(key, file)?;
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() || lines.iter().any(|line| line.len() < BEARER_LEN_MIN) {
            return Err(CredentialError {
                key,
                reason: format!(
                    "{} holds no token, or one of less than 32 characters",
                    file.display()
                ),
                remedy: "Write one token a line; `openssl rand -hex 32` makes one.".into(),
            });
        }
        Ok(Self(lines.iter().map(|line| digest(line.as_bytes())).collect()))
    }

    /// Whether this is one of them.
    pub fn has(&self, token: &str) -> bool {
        let shown = digest(token.as_bytes());
        self.0.iter().any(|known| verify_slices_are_equal(known, &shown).is_ok())
    }

    /// Whether who sends these may look: a bearer token, or the same as a password (browsers send
    /// that by themselves, so it must never let anybody change something).
    pub fn let_look(&self, headers: &HeaderMap) -> bool {
        basic(headers).is_some_and(|password| self.has(&password)) || self.let_change(headers)
    }

    /// Whether who sends these may change something.
    pub fn let_change(&self, headers: &HeaderMap) -> bool {
        shown(headers, AUTHORIZATION).is_some_and(|token| self.has(token))
    }
}

/// The bearer token in `header`.
pub fn shown(headers: &HeaderMap, header: HeaderName) -> Option<&str> {
    credentials_of(headers, header, "bearer")
}

/// The password of RFC 7617.
fn basic(headers: &HeaderMap) -> Option<String> {
    let decoded = STANDARD.decode(credentials_of(headers, AUTHORIZATION, "basic")?).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// RFC 9110 §11.4: a scheme, which has no case, and its credentials.
fn credentials_of<'a>(headers: &'a HeaderMap, header: HeaderName, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header)?.to_str().ok()?;
    let (named, credentials) = value.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}
