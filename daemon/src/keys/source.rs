//! Where keys come from, as a configuration says it.

use super::Document;
use crate::config::{ConfigError, Source, Text, Texts};
use crate::credential::{CredentialError, text};
use crate::https::AUTHORITIES;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most sources of one list.
const SOURCES_MAX: usize = 16;
/// How often keys may be fetched.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Where keys come from: a JWKS document (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeySource {
    /// A file of this host.
    File(PathBuf),
    /// Where they are published: `https://meet.example.org/.well-known/jwks.json`.
    Url(String),
}

/// How keys are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetching {
    /// Who signs the certificates of their URLs.
    pub authority: PathBuf,
    /// How often each is asked, about.
    pub interval: Duration,
    /// The folder that keeps what they told last.
    pub cache: PathBuf,
}

/// `[keys]` as it stands in a file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysTable {
    authority: Text,
    interval: Text,
    cache: Text,
}

impl Fetching {
    /// As it is when nothing is said, for a daemon of this name.
    pub fn with_defaults(daemon: &str) -> Self {
        Self {
            authority: PathBuf::from(AUTHORITIES),
            interval: INTERVAL_DEFAULT,
            cache: Path::new("/var/cache").join(daemon),
        }
    }
}

impl KeysTable {
    /// With the defaults of a daemon of this name.
    ///
    /// # Errors
    /// The first value that can't be used.
    pub fn check(self, source: Source<'_>, daemon: &str) -> Result<Fetching, ConfigError> {
        let defaults = Fetching::with_defaults(daemon);
        Ok(Fetching {
            authority: source.file(self.authority).unwrap_or(defaults.authority),
            interval: source.duration(self.interval, defaults.interval, INTERVAL)?,
            cache: source.file(self.cache).unwrap_or(defaults.cache),
        })
    }
}

impl Source<'_> {
    /// Where keys come from: one file or URL, or a list of them.
    ///
    /// # Errors
    /// When there is none, there are too many, or one is empty or no such URL.
    pub fn key_sources(
        &self,
        value: Texts,
        key: &str,
        remedy: &str,
    ) -> Result<Vec<KeySource>, ConfigError> {
        let value = value.ok_or_else(|| self.missing(key, remedy))?;
        let (span, texts) = (value.span(), value.into_inner().into_vec());
        if texts.is_empty() || texts.len() > SOURCES_MAX {
            let reason = format!("there are {} sources", texts.len());
            return Err(self.wrong(span, reason, format!("{remedy} List 1 to {SOURCES_MAX}.")));
        }
        let parse = |text: String| {
            if text.is_empty() {
                return Err(self.wrong(span.clone(), "the value is empty", remedy));
            }
            if !text.contains("://") {
                return Ok(KeySource::File(self.path(&text)));
            }
            if is_url(&text) {
                return Ok(KeySource::Url(text));
            }
            let reason = format!("\"{text}\" is no such URL");
            let remedy = "Write https:// (what is not encrypted can be forged), a host, and the path of a JWKS document.";
            Err(self.wrong(span.clone(), reason, remedy))
        };
        texts.into_iter().map(parse).collect()
    }
}

fn is_url(text: &str) -> bool {
    text.parse::<hyper::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && !text.contains('#')
    })
}

/// The keys of a file that the configuration's `key` names.
pub(super) fn read_file(key: &'static str, file: &Path) -> Result<Document, CredentialError> {
    Document::parse(text(key, file)?).map_err(|cause| CredentialError {
        key,
        reason: format!("{} can't be used: {cause}", file.display()),
        remedy: "Write the public keys as JWKS: Ed25519 keys (RFC 8037), each with its own kid."
            .into(),
    })
}
