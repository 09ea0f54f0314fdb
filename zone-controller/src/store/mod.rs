//! What a zone's controllers must agree on: which MMR a meeting is on, which tokens were used, and
//! what operators want of MMRs. Load reports are not stored: every controller gets them itself.
//!
//! [`redb`] keeps it in a file of this host, for one controller; [`etcd`] in a cluster, for several.
//! Whatever changes does so by comparing first: a change made on an out-of-date view does nothing.

pub mod etcd;
pub mod redb;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use wire::MmrId;

/// An answer that takes its time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What a zone's controllers must agree on.
pub trait Store: Send + Sync {
    /// Where a meeting is.
    fn place_of<'a>(&'a self, meeting: &'a str) -> Answer<'a, Option<Place>>;

    /// Uses a token up and puts a meeting somewhere: both or neither.
    fn commit<'a>(&'a self, change: &'a Change<'a>) -> Answer<'a, Outcome>;

    /// What operators want of an MMR from now on; answers the order.
    fn order<'a>(&'a self, mmr: &'a MmrId, wanted: Wanted, now_ms: u64) -> Answer<'a, Order>;

    /// Tells the other controllers what this one wonders about and hears; answers what is shared.
    fn exchange<'a>(&'a self, own: &'a Sighting) -> Answer<'a, Shared>;

    /// Whether other controllers may use it, too.
    fn is_shared(&self) -> bool;
}

/// Why the store did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nobody can be reached, or nobody answers in time. What was asked may have been done.
    #[error("the store can't be reached: {0}")]
    Unreachable(String),
    /// The file can't be used.
    #[error("{0}")]
    File(String),
    /// Something that no controller wrote, or another version's.
    #[error("the store holds what can't be read at {key}: {cause}")]
    Corrupt {
        /// Where.
        key: String,
        /// Why.
        cause: String,
    },
}

/// Where a meeting is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// On which MMR.
    pub mmr: MmrId,
    /// How often the meeting has been placed, from 1.
    pub epoch: u64,
    /// When somebody was last known to join, Unix seconds; renewed now and then.
    pub renewed_s: u64,
}

/// One assignment, to be made as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The token it uses up; none when a ticket was shown.
    pub token: Option<UsedToken<'a>>,
    /// The meeting.
    pub meeting: &'a str,
    /// Where it must be for this to be done.
    pub from: Option<&'a Place>,
    /// Where it is from then on.
    pub to: &'a Place,
    /// Now, Unix seconds.
    pub now_s: u64,
}

/// A token to be used up.
#[derive(Clone, Copy, Debug)]
pub struct UsedToken<'a> {
    /// Its id.
    pub jti: &'a str,
    /// Until when it must be remembered, Unix seconds; always the same for the same token.
    pub until_s: u64,
    /// Who uses it: the same attempt, made again, is no second use.
    pub attempt: &'a str,
}

/// What became of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Done,
    /// The token was used before, by another attempt.
    TokenUsed,
    /// The meeting is not where it should be but here.
    Moved(Option<Place>),
}

/// What an operator wants of an MMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Wanted {
    /// That it takes newcomers.
    Serve,
    /// That it turns newcomers away, and everybody has moved on by then.
    Drain {
        /// Unix seconds.
        until_s: u64,
    },
}

/// The last word of operators on an MMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Larger with each order to the MMR.
    pub order: u64,
    /// What.
    #[serde(flatten)]
    pub wanted: Wanted,
}

impl Order {
    /// The order after `last`. Starts from the clock: agents remember orders longer than a store
    /// that was lost.
    fn after(last: Option<Self>, wanted: Wanted, now_ms: u64) -> Self {
        Self { order: last.map_or(0, |last| last.order + 1).max(now_ms), wanted }
    }
}

/// What one controller tells the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The controller.
    pub controller: String,
    /// MMRs it hears nothing of, and asks about.
    pub wonders: BTreeSet<MmrId>,
    /// MMRs that others wonder about and that it hears.
    pub hears: BTreeSet<MmrId>,
}

/// What all controllers know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// The last word on each MMR that operators had one on.
    pub orders: BTreeMap<MmrId, Order>,
    /// What the other controllers that are up told last.
    pub others: Vec<Sighting>,
    /// How many meetings have a place.
    pub meetings: u64,
}
