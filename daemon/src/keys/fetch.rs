//! One question and its answer: keys that can be used, or why there are none.

use super::{Document, Fetching, cache};
use crate::credential::CredentialError;
use crate::https::{AskError, Client};
use std::path::PathBuf;
use std::time::Duration;
use wire::token::{KeyError, PublicKeys};

/// Largest document that is read, in bytes: some hundred keys.
pub(super) const DOCUMENT_LEN_MAX: usize = 64 * 1024;
/// How long an answer may take, all of it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) type Outcome = Result<Document, FetchError>;

/// Asks, and keeps what it is told.
pub(super) struct Fetcher {
    client: Client,
    cache: PathBuf,
}

/// Why nothing was told that could be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("this is not UTF-8")]
    NotText,
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Fetcher {
    pub(super) fn new(fetching: &Fetching) -> Result<Self, CredentialError> {
        let client = Client::new("keys.authority", &fetching.authority, PATIENCE)?;
        Ok(Self { client, cache: fetching.cache.clone() })
    }

    pub(super) async fn fetch(&self, url: &str) -> Outcome {
        let body = self.client.get(url, DOCUMENT_LEN_MAX).await?;
        let document = Document::parse(String::from_utf8(body).map_err(|_| FetchError::NotText)?)?;
        cache::store(&self.cache, url, &document);
        Ok(document)
    }
}

impl Document {
    pub(super) fn parse(text: String) -> Result<Self, KeyError> {
        Ok(Self { keys: PublicKeys::from_published(&text)?, text })
    }
}

impl FetchError {
    /// Whether nobody was reached; otherwise the answer can't be used.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Ask(AskError::Unreachable(_) | AskError::TimedOut))
    }
}
