//! What metrics tell of fetched keys: how old they are, and what became of each question.

use super::fetch::Outcome;
use crate::metrics::{Out, as_f64};
use crate::unix_now_s;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What becomes of a question, as metrics name it.
const OUTCOMES: [&str; 3] = ["taken", "unreachable", "unusable"];

/// Counts, shared by those who count and those who tell.
#[derive(Clone, Debug, Default)]
pub struct Fetches {
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
    /// When each URL last told keys that can be used, Unix seconds; since when it is asked, while it
    /// never did.
    told_s: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Fetches {
    /// Each URL, and how long ago it told its keys, or since when it was asked in vain, in seconds.
    pub fn ages_s(&self) -> Vec<(String, u64)> {
        let now_s = unix_now_s();
        let told = self.told();
        told.iter().map(|(url, at)| (url.clone(), now_s.saturating_sub(*at))).collect()
    }

    /// How often what became of a question.
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        OUTCOMES
            .map(|outcome| (outcome, self.outcomes.get_or_create(&[("outcome", outcome)]).get()))
    }

    /// Writes both.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn encode(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        out.gauges(
            "keys_age_seconds",
            "Since a URL last told its public keys, or was first asked",
            self.ages_s().into_iter().map(|(url, age_s)| ([("url", url)], as_f64(age_s))),
        )?;
        out.metric("keys_fetches", "Times public keys were asked for, by outcome", &self.outcomes)
    }

    /// Others than these are no longer asked.
    pub(super) fn keep(&self, urls: &[&str]) {
        let mut told = self.told();
        told.retain(|url, _| urls.contains(&url.as_str()));
        for url in urls {
            told.entry((*url).to_owned()).or_insert_with(unix_now_s);
        }
    }

    /// What the cache knows.
    pub(super) fn known_since(&self, url: &str, told_s: u64) {
        self.told().insert(url.to_owned(), told_s);
    }

    pub(super) fn count(&self, url: &str, outcome: &Outcome) {
        let name = match outcome {
            Ok(_) => {
                if let Some(told) = self.told().get_mut(url) {
                    *told = unix_now_s();
                }
                OUTCOMES[0]
            }
            Err(error) if error.is_unreachable() => OUTCOMES[1],
            Err(_) => OUTCOMES[2],
        };
        self.outcomes.get_or_create(&[("outcome", name)]).inc();
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.told_s.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
