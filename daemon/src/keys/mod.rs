//! The public keys that a daemon takes tokens by: from files, and from where they are published.
//!
//! A file is read at start and at reload. A URL is asked at start, again and again while the daemon
//! runs, and at reload; what it told last counts until it tells something else that can be used, and is kept
//! in a cache for a start without it. So a key that is published here is taken everywhere some minutes
//! later, and nobody is shut out because the web infrastructure can't be reached.
//!
//! Not here: what the keys are for. [`Sources`] gives them to the daemon's own verifiers.

mod cache;
mod counts;
mod fetch;
mod source;

pub use counts::Fetches;
pub use source::{Fetching, KeySource, KeysTable};

use crate::credential::CredentialError;
use fetch::{Fetcher, Outcome};
use futures_util::future::join_all;
use source::read_file;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use wire::token::PublicKeys;

/// How soon a URL is asked again that did not answer as it should, unless it is asked more often.
const RETRY: Duration = Duration::from_secs(30);
/// When nothing is fetched.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Every source of a daemon's keys, and what each told last.
pub struct Keys {
    state: Mutex<State>,
    /// Other sources than before: ask at once.
    woken: Notify,
    /// Whether every URL has told its keys, or was asked at least.
    ready: watch::Sender<bool>,
    fetches: Fetches,
}

#[derive(Default)]
struct State {
    sources: Sources,
    fetcher: Option<Arc<Fetcher>>,
    interval: Duration,
    /// URLs that did not answer as they should when they were last asked: logged once.
    failing: BTreeSet<String>,
    /// Whether the daemon has taken the keys as they are.
    applied: bool,
}

/// The sources as the configuration lists them, each with its keys.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<(KeySource, Option<Document>)>);

/// What a source told: as it was written, and as it is read.
#[derive(Clone, Debug)]
struct Document {
    text: String,
    keys: PublicKeys,
}

/// A configuration's sources, read: not in use before [`Keys::exchange`].
pub struct Reading {
    sources: Sources,
    fetcher: Option<Arc<Fetcher>>,
    interval: Duration,
}

impl Keys {
    /// Without sources; counts what is fetched.
    pub fn new(fetches: Fetches) -> Self {
        Self {
            state: Mutex::default(),
            woken: Notify::new(),
            ready: watch::Sender::new(false),
            fetches,
        }
    }

    /// Reads the files, and takes of each URL what it told before, or what the cache has of it. `key`
    /// is the configuration's that names them.
    ///
    /// # Errors
    /// A file that can't be used. A URL that was never reached is no error: it has no keys yet.
    pub fn read<'a>(
        &self,
        key: &'static str,
        sources: impl IntoIterator<Item = &'a KeySource>,
        fetching: &Fetching,
    ) -> Result<Reading, CredentialError> {
        let mut read = Sources::default();
        for source in sources {
            if read.0.iter().any(|(known, _)| known == source) {
                continue;
            }
            let document = match source {
                KeySource::File(file) => Some(read_file(key, file)?),
                KeySource::Url(url) => self
                    .state()
                    .sources
                    .document(source)
                    .cloned()
                    .or_else(|| cache::load(&fetching.cache, url, &self.fetches)),
            };
            read.0.push((source.clone(), document));
        }
        let fetches = read.urls().next().is_some();
        let fetcher = fetches.then(|| Fetcher::new(fetching).map(Arc::new)).transpose()?;
        Ok(Reading { sources: read, fetcher, interval: fetching.interval })
    }

    /// From now on these are the sources. `take` gives their keys to who uses them: while it runs
    /// nothing that was fetched gets in between.
    pub fn exchange(&self, reading: Reading, take: impl FnOnce()) {
        let mut state = self.state();
        take();
        let Reading { sources, fetcher, interval } = reading;
        self.fetches.keep(&sources.urls().collect::<Vec<_>>());
        self.ready.send_replace(sources.0.iter().all(|(_, document)| document.is_some()));
        let failing = std::mem::take(&mut state.failing);
        *state = State { sources, fetcher, interval, failing, applied: true };
        drop(state);
        self.woken.notify_one();
    }

    /// Asks every URL after each [`Keys::exchange`], and again and again; never returns. `take` is given
    /// the keys when they have changed, and says whether it took them.
    pub async fn refresh(&self, take: impl Fn(&Sources) -> bool) {
        let mut wait = FOREVER;
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = self.woken.notified() => {}
            }
            wait = self.ask_all(&take).await;
        }
    }

    /// When every URL has told its keys, or was asked at least: [`Keys::refresh`] does, in some seconds.
    pub async fn ready(&self) {
        // It can't end while it is borrowed.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Answers when to ask again.
    async fn ask_all(&self, take: impl Fn(&Sources) -> bool) -> Duration {
        let (fetcher, urls) = {
            let state = self.state();
            let urls: Vec<String> = state.sources.urls().map(str::to_owned).collect();
            (state.fetcher.clone(), urls)
        };
        let Some(fetcher) = fetcher else { return FOREVER };
        let outcomes = join_all(urls.iter().map(|url| fetcher.fetch(url))).await;
        let mut state = self.state();
        for (url, outcome) in urls.into_iter().zip(outcomes) {
            self.fetches.count(&url, &outcome);
            state.hear(url, outcome);
        }
        if !state.applied {
            state.applied = take(&state.sources);
        }
        self.ready.send_replace(true);
        let is_well = state.applied && state.failing.is_empty();
        around(if is_well { state.interval } else { state.interval.min(RETRY) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("sources", &self.state().sources).finish_non_exhaustive()
    }
}

impl State {
    /// What a URL told, unless it is no longer a source.
    fn hear(&mut self, url: String, outcome: Outcome) {
        let source = KeySource::Url(url.clone());
        let Some((_, known)) = self.sources.0.iter_mut().find(|(known, _)| *known == source) else {
            return;
        };
        let document = match outcome {
            Ok(document) => document,
            Err(why) => {
                if self.failing.insert(url.clone()) {
                    let keys = known.as_ref().map_or(0, |document| document.keys.count());
                    tracing::error!(url, keys, %why, "public keys can't be fetched: those known stay");
                }
                return;
            }
        };
        if self.failing.remove(&url) {
            tracing::info!(url, "public keys can be fetched again");
        }
        if known.as_ref().is_none_or(|known| known.text != document.text) {
            tracing::info!(url, keys = ?document.keys, "other public keys count from now on");
            *known = Some(document);
            self.applied = false;
        }
    }
}

impl Reading {
    /// What was read.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

impl Sources {
    /// The keys of all sources; none replaces one of a source before its own, and no published one a file's.
    pub fn keys(&self) -> PublicKeys {
        self.keys_of(self.0.iter().map(|(source, _)| source))
    }

    /// The keys of these sources.
    pub fn keys_of<'a>(&self, sources: impl IntoIterator<Item = &'a KeySource>) -> PublicKeys {
        let mut keys = PublicKeys::default();
        let mut sources: Vec<_> = sources.into_iter().collect();
        // Whoever has a URL must not be able to shut out those whose keys lie here.
        sources.sort_by_key(|source| matches!(source, KeySource::Url(_)));
        for source in sources {
            if let Some(document) = self.document(source) {
                keys.add(&document.keys);
            }
        }
        keys
    }

    /// URLs that have not told any keys yet.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, document)| document.is_none()).filter_map(|(source, _)| {
            match source {
                KeySource::Url(url) => Some(url.as_str()),
                KeySource::File(_) => None,
            }
        })
    }

    /// Whether any keys are fetched.
    pub fn has_urls(&self) -> bool {
        self.urls().next().is_some()
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(source, _)| match source {
            KeySource::Url(url) => Some(url.as_str()),
            KeySource::File(_) => None,
        })
    }

    fn document(&self, source: &KeySource) -> Option<&Document> {
        self.0.iter().find(|(known, _)| known == source).and_then(|(_, document)| document.as_ref())
    }
}

/// A fifth more or less, so that not all ask at once what they were started with at once.
fn around(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.8..1.2))
}
