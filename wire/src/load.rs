//! What the agent of an MMR tells the zone's controllers, and what they answer (docs/load-report.md).
//!
//! `POST /v1/report` with a [`Report`], once a second and at once when something happened; the
//! answer is a [`Reply`]. Fields that are not known are ignored, either way; [`VERSION`] changes
//! only when a field that is known changes its meaning or goes.

mod check;
mod host;
mod router;

pub use check::ReportError;
pub use host::{HostDrops, HostLoad, InterfaceLoad, Memory, Pressure};
pub use router::{
    Drain, ExpressLatency, ExpressLoad, Flow, KindLoad, Kinds, Latency, Meeting, MeetingList,
    RouterLoad, TableUse, WorkerLoad,
};

use crate::MmrId;
use crate::zone::ControlPoint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The report's version: `v` in report and reply.
pub const VERSION: u32 = 1;
/// The path reports are posted to.
pub const PATH: &str = "/v1/report";

/// The load of one MMR at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The report's version: 1.
    #[schemars(extend("const" = VERSION))]
    pub v: u32,
    /// Whose.
    pub mmr: MmrId,
    /// Its zone.
    #[schemars(length(min = 1, max = 64))]
    pub zone: String,
    /// When the agent started, Unix milliseconds. Of two reports the one with the larger
    /// (`epoch_ms`, `sequence`) is the newer.
    pub epoch_ms: u64,
    /// From 1, larger with every report of this epoch, not without gaps: of reports that could not
    /// be sent only the newest is.
    pub sequence: u64,
    /// What the rates are over, in milliseconds.
    pub interval_ms: u64,
    /// Whether meetings can be placed there.
    pub state: State,
    /// Why it is not serving, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
    /// Where clients open their control channel; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlPoint>,
    /// The agent's version.
    #[schemars(length(max = 256))]
    pub agent: String,
    /// How full it is.
    pub stress: Stress,
    /// How many more it can take.
    pub headroom: Headroom,
    /// What the daemon tells of itself; absent while it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<RouterLoad>,
    /// What its host tells.
    pub host: HostLoad,
    /// The meetings it has, when the controller asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting_list: Option<MeetingList>,
}

/// Whether meetings can be placed on an MMR, and whether those that are there have media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not answered since the agent started. No media.
    Starting,
    /// It takes newcomers.
    Serving,
    /// It turns newcomers away and tells everybody to move on; media goes on.
    Draining,
    /// It was told to end, or has ended and is not back yet. Media goes on for as long as `router`
    /// is there.
    Stopping,
    /// It runs, but its control thread does not answer or a worker takes no turns. Meetings there
    /// have no media, or some participants have none.
    Stalled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Starting, Self::Serving, Self::Draining, Self::Stopping, Self::Stalled];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Stalled => "stalled",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How full an MMR is: 1.0 is full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stress {
    /// The largest of `resources`, smoothed over about two seconds. Above 1.0 it is overloaded.
    pub value: f64,
    /// Which resource that is; it stays until another is clearly fuller.
    #[schemars(length(max = 256))]
    pub resource: String,
    /// `value` with hysteresis.
    pub level: Level,
    /// Each resource's, by name.
    pub resources: Vec<ResourceUse>,
}

/// One resource of an MMR or its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceUse {
    /// `worker`, `core`, `network`, `memory`, `links`, `layers`, `routes`, `channels` or
    /// `connections`; later versions may have more.
    #[schemars(length(max = 256))]
    pub resource: String,
    /// The share in use now, 0 to 1.
    pub used: f64,
    /// The share that counts as full.
    pub threshold: f64,
    /// `used / threshold`, smoothed.
    pub stress: f64,
}

/// Stress in words. A level is left downwards only 0.1 below where it was entered.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Below 0.8.
    #[default]
    Normal,
    /// From 0.8 on.
    High,
    /// From 1.0 on.
    Full,
}

/// How many more participants an MMR can take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Headroom {
    /// Participants until stress is 1.0.
    pub participants: u64,
    /// What one participant adds to stress.
    pub stress_per_participant: f64,
    /// Whether that was measured here; if not it is the operator's estimate.
    pub measured: bool,
}

/// A controller's answer to a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The report's version: 1.
    #[schemars(extend("const" = VERSION))]
    pub v: u32,
    /// What the zone wants this MMR to do; absent when it never said, or this controller can't tell
    /// at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
    /// Asks for `meeting_list` in the next report to this controller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub list_meetings: bool,
}

/// A drain or its end, as the zone ordered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The order's number: larger with each order to this MMR, the same from every controller. Of
    /// several the agent follows the largest, and carries each out once.
    pub order: u64,
    /// What.
    #[serde(flatten)]
    pub state: WantedState,
}

/// What a zone can want of an MMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WantedState {
    /// Take newcomers. Ends the zone's own drain, never one asked for on the host.
    Serve,
    /// Turn newcomers away and tell everybody to move on.
    Drain {
        /// Until when they should have, in seconds from now; a year at most.
        #[schemars(range(max = 31_536_000))]
        deadline_s: u64,
    },
}

#[cfg(test)]
mod tests;
