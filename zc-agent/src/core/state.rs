//! What the daemon says, or does not say, becomes the state a controller acts on.

use crate::limits::RECOVERED_AFTER;
use std::time::Duration;
use wire::limits::REPORT_TEXT_LEN_MAX;
use wire::load::State;
use wire::stats::Stats;

/// How the daemon answered when asked how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Every worker takes its turns.
    Well,
    /// Some do not; which, for people.
    Stalled(String),
    /// It took the question and did not answer, or not so that it can be understood; for people.
    Silent(String),
    /// Nobody is there to ask; why, for people.
    Gone(String),
}

/// Watches the daemon.
#[derive(Debug)]
pub(super) struct Watch {
    health: Health,
    /// While it is well after it was not.
    well_since: Option<Duration>,
    /// Since the agent started.
    answered: bool,
    /// Seconds left.
    draining_s: Option<u64>,
    stopping: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            health: Health::Gone("it was not asked yet".to_owned()),
            well_since: None,
            answered: false,
            draining_s: None,
            stopping: false,
        }
    }

    pub(super) fn handle_stats(&mut self, stats: &Stats) {
        self.answered = true;
        self.draining_s = stats.draining_s;
        self.stopping = stats.stopping;
        // One that is back is another than the one that went: nothing to recover from.
        if matches!(self.health, Health::Gone(_)) {
            self.health = Health::Well;
        }
    }

    pub(super) fn handle_health(&mut self, at: Duration, health: Health) {
        if health != Health::Well {
            self.well_since = None;
            self.health = health;
            return;
        }
        let well_since = *self.well_since.get_or_insert(at);
        let recovered = at.saturating_sub(well_since) >= RECOVERED_AFTER;
        if recovered && !matches!(self.health, Health::Gone(_)) {
            self.health = Health::Well;
        }
    }

    /// And why, when it does not serve.
    pub(super) fn state(&self) -> (State, Option<String>) {
        let (state, reason) = match &self.health {
            Health::Gone(why) if self.answered => {
                (State::Stopping, format!("the daemon has ended: {why}"))
            }
            Health::Gone(why) => (State::Starting, format!("the daemon is not there yet: {why}")),
            Health::Silent(why) => (State::Stalled, format!("the daemon gives no answer: {why}")),
            Health::Stalled(why) => (State::Stalled, why.clone()),
            Health::Well => match self.draining_s {
                None => return (State::Serving, None),
                Some(left) if self.stopping => {
                    (State::Stopping, format!("the daemon was told to end: {left} s are left"))
                }
                Some(left) => (State::Draining, format!("draining: {left} s are left")),
            },
        };
        (state, Some(shortened(reason)))
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REPORT_TEXT_LEN_MAX));
    text
}
