//! The state of a zone, as operators see and change it.

use crate::MmrId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A zone as one controller sees it. Later versions may tell more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneState {
    /// The zone's name.
    pub zone: String,
    /// The controller that answers.
    pub controller: String,
    /// Whether it can agree with the others: assignments are made only then.
    pub store_reachable: bool,
    /// Meetings that have a place.
    pub meetings: u64,
    /// By id.
    pub mmrs: Vec<MmrState>,
}

/// One MMR as its controller sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MmrState {
    /// Its id.
    pub id: MmrId,
    /// Why it takes no meetings; absent while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
    /// Since its last report, in milliseconds.
    pub report_age_ms: u64,
    /// As reported: 1.0 is full.
    pub stress: f64,
    /// Reported, and what was placed since.
    pub stress_corrected: f64,
    /// The resource that is fullest.
    pub resource: String,
    /// Stress of each worker: the share of its time it is busy, against the share that counts as full.
    pub workers_stress: Vec<f64>,
    /// Meetings it carries.
    pub meetings: u64,
    /// Participants it carries.
    pub participants: u64,
    /// More participants it has room for.
    pub headroom: u64,
    /// Its software.
    pub version: String,
    /// The drain that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
}

/// A drain that is under way: no newcomers, and those who are there move to other MMRs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// Until when everybody should have moved, Unix seconds.
    pub until_s: u64,
}

/// Asks for a drain: `POST /v1/mmrs/{id}/drain`. `POST /v1/mmrs/{id}/undrain` takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainWanted {
    /// Seconds from now until everybody should have moved.
    #[schemars(range(min = 1, max = 86_400))]
    pub deadline_s: u64,
}
