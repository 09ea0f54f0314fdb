//! What the MMR's daemon tells of itself.

use crate::control::Addresses;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The daemon's part of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouterLoad {
    /// The daemon's version.
    #[schemars(length(max = 256))]
    pub version: String,
    /// When it started, Unix milliseconds; a change means that all its meetings are gone.
    pub epoch_ms: u64,
    /// What its workers run on: `uring` or `poll`.
    #[schemars(length(max = 256))]
    pub backend: String,
    /// What its stream thread runs on: `uring` or `tokio`.
    #[schemars(length(max = 256))]
    pub door_backend: String,
    /// Where clients reach it, best first.
    pub addresses: Addresses,
    /// The drain under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// Meetings with a participant.
    pub meetings: u64,
    /// Participants, those without a control channel included.
    pub participants: u64,
    /// Media by kind.
    pub kinds: Kinds,
    /// From heard to handed to the kernel, all workers, over the last interval.
    pub latency: Latency,
    /// Datagrams a second that the kernel dropped because a socket's receive buffer was full.
    pub kernel_drops_per_s: u64,
    /// What the kernel replicates by itself; absent where it replicates nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub express: Option<ExpressLoad>,
    /// Each worker.
    #[schemars(length(max = 256))]
    pub workers: Vec<WorkerLoad>,
    /// What there is a limit for: links, layers, routes, control channels, media connections.
    #[schemars(length(max = 64))]
    pub capacity: Vec<TableUse>,
}

/// A drain under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// Seconds left until its deadline.
    pub left_s: u64,
    /// The zone's order it carries out; absent when somebody on the host asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
}

/// Media by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kinds {
    /// Speech.
    pub audio: KindLoad,
    /// Cameras.
    pub video: KindLoad,
    /// Shared screens.
    pub content: KindLoad,
}

/// Media of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindLoad {
    /// Media accepted.
    pub received: Flow,
    /// Everything sent to links of the kind, by workers and by the kernel itself.
    pub sent: Flow,
    /// Streams published.
    pub streams: u64,
    /// Links that are bound.
    pub links: u64,
    /// Links that were given out and are not bound: a share that stays high tells that clients
    /// can't reach the media ports.
    pub links_waiting: u64,
}

/// Packets and their bits, without headers below RTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// Packets a second.
    pub packets_per_s: u64,
    /// Bits a second.
    pub bits_per_s: u64,
}

/// How long packets took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// How many were measured; zero makes the others meaningless.
    pub count: u64,
    /// The median, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 took at most this, in microseconds.
    pub p99_us: u64,
}

/// The express plane: media the kernel replicates below the sockets, without a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpressLoad {
    /// Layers it serves.
    pub layers: u64,
    /// Destinations of all layers that it serves.
    pub routes: u64,
    /// What it sent; also part of the kinds' `sent`, not of the workers'.
    pub sent: Flow,
    /// Copies lost a second: the device did not take them, or there was no memory.
    pub lost_per_s: u64,
    /// From when the kernel looked at a packet to when its last copy was with its device, over the last interval.
    pub latency: ExpressLatency,
}

/// How long the kernel took for all copies of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpressLatency {
    /// How many were measured; zero makes the others meaningless.
    pub count: u64,
    /// The median, in nanoseconds, to a factor of 2.
    pub p50_ns: u64,
    /// 99 of 100 took at most this, in nanoseconds, to a factor of 2.
    pub p99_ns: u64,
}

/// One worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerLoad {
    /// From 0.
    pub worker: u8,
    /// The core it is pinned to; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<u32>,
    /// Share of the time it did not wait, 0 to 1.
    pub busy: f64,
    /// Share of its core's time spent in softirqs, 0 to 1; absent when it is not pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softirq: Option<f64>,
    /// Media accepted.
    pub received: Flow,
    /// Everything sent.
    pub sent: Flow,
    /// Packets dropped a second, whatever the reason.
    pub drops_per_s: u64,
    /// Times a second its ring had no buffer left.
    pub ring_overflows_per_s: u64,
    /// Milliseconds since it last finished a turn; idle workers turn once a second.
    pub heartbeat_age_ms: u64,
}

/// One of the daemon's tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableUse {
    /// `links`, `layers`, `routes`, `channels` or `connections`; later versions may have more.
    #[schemars(length(max = 256))]
    pub table: String,
    /// Entries in use.
    pub used: u64,
    /// Entries there is room for.
    pub size: u64,
}

/// The meetings of an MMR.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingList {
    /// Whether these are all; if not there were too many.
    pub complete: bool,
    /// Each with at least one participant.
    #[schemars(length(max = 4096))]
    pub meetings: Vec<Meeting>,
}

/// One meeting on an MMR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Meeting {
    /// Its name, as in the join tokens.
    #[schemars(length(min = 1, max = 64))]
    pub meeting: String,
    /// Participants, those without a control channel included.
    pub participants: u64,
}
