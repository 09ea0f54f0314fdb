//! What an operator sees of a running daemon: the answer to `GET /stats`, which `mmr stats`, `mmr
//! top` and the zone controller's agent read.

use crate::control::Addresses;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A daemon at one moment. Counts are since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The daemon's version.
    pub version: String,
    /// Its zone.
    pub zone: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// When it started, Unix milliseconds.
    pub epoch_ms: u64,
    /// Seconds left until the deadline of a drain; absent when newcomers are welcome.
    pub draining_s: Option<u64>,
    /// The zone's order that asked for the drain; absent when somebody on the host did.
    pub drain_order: Option<u64>,
    /// Whether it ends when the drain does.
    pub stopping: bool,
    /// Where it listens.
    pub addresses: Addresses,
    /// Where clients are told to connect.
    pub advertised: Addresses,
    /// What the stream thread runs on: `uring` or `tokio`.
    pub door_backend: String,
    /// Meetings with a participant.
    pub meetings: u64,
    /// Participants, those without a channel included.
    pub participants: u64,
    /// Streams published.
    pub streams: u64,
    /// Links bound, by transport.
    pub links: BTreeMap<String, u64>,
    /// Streams and links, by kind.
    pub kinds: BTreeMap<String, KindStats>,
    /// What there is a limit for: `links`, `layers`, `routes`, `channels`, `connections`.
    pub tables: BTreeMap<String, TableStats>,
    /// Heard to handed to the kernel over the last second, all workers, in microseconds.
    pub latency_recent_us: Distribution,
    /// The control thread.
    pub control: ControlStats,
    /// The stream thread.
    pub door: DoorStats,
    /// The express plane.
    #[serde(default)]
    pub express: ExpressStats,
    /// Each worker.
    pub workers: Vec<WorkerStats>,
}

/// What there is of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindStats {
    /// Streams published.
    pub streams: u64,
    /// Links bound.
    pub links: u64,
    /// Links given out and not bound.
    pub links_waiting: u64,
}

/// How full something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStats {
    /// Entries in use.
    pub used: u64,
    /// Entries there is room for.
    pub size: u64,
}

/// The control thread's part of [`Stats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlStats {
    /// Control channels open now.
    pub channels: u64,
    /// Connections for a control channel taken.
    pub accepted: u64,
    /// Those that ended before they were one, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Channels the daemon closed, by reason.
    pub closed: BTreeMap<String, u64>,
    /// Requests received.
    pub requests: u64,
    /// Refused requests, by error code.
    pub errors: BTreeMap<String, u64>,
    /// Orders that wait because a worker's queue is full.
    pub orders_waiting: u64,
}

/// The stream thread's part of [`Stats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DoorStats {
    /// Connections open now, by transport; control channels apart.
    pub connections: BTreeMap<String, u64>,
    /// Connections refused or ended by a limit or a deadline.
    pub refused: u64,
    /// Connections whose client went before it had proved anything.
    pub abandoned: u64,
    /// Packets dropped, by reason; only reasons that occurred.
    pub drops: BTreeMap<String, u64>,
}

/// The express plane's part of [`Stats`]: media that the kernel replicates, below the sockets. What it sends is not
/// among what workers sent; what it receives is, as every packet goes on to its worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpressStats {
    /// Whether it is on.
    pub on: bool,
    /// The interfaces it is attached to, or why it is off.
    pub why: String,
    /// When these counts were taken, in milliseconds since the daemon's start.
    pub taken_ms: u64,
    /// Layers it serves now.
    pub layers: u64,
    /// Destinations of all layers that it serves now; the others are the workers'.
    pub routes: u64,
    /// Links bound over UDP whose next hop is known.
    pub links: u64,
    /// Entries the kernel had no room or memory for.
    pub refused: u64,
    /// Copies that devices took, by kind.
    pub sent: BTreeMap<String, TrafficStats>,
    /// What became of packets of layers that are served, and of copies that were not taken; only what occurred.
    pub outcomes: BTreeMap<String, u64>,
    /// What every layer it serves counted, by kind: packets heard, and lost as they were over their layer's rate.
    pub layer_sums: BTreeMap<String, ExpressTally>,
    /// What every destination counted, by kind: copies, and those its device did not take.
    pub link_sums: BTreeMap<String, ExpressTally>,
    /// The layers that lost most of late, then the busiest; at most 16. `GET /express` has all.
    pub layers_top: Vec<ExpressLayerStats>,
    /// The links that lost most of late, then the busiest; at most 16.
    pub links_top: Vec<ExpressLinkStats>,
    /// From when the kernel looked at a packet to when its last copy was with its device, in nanoseconds; one packet in
    /// 64 is timed, to a factor of 2.
    pub latency_ns: Distribution,
    /// The same over the last second alone.
    pub latency_recent_ns: Distribution,
}

/// The answer to `GET /express`: every layer and every link over UDP with its own counts. Some are read each second, in
/// turn: they are as many seconds old as there are thousands of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpressDetails {
    /// By their places in the router's tables.
    pub layers: Vec<ExpressLayerStats>,
    /// By their places in the router's tables.
    pub links: Vec<ExpressLinkStats>,
}

/// What the express plane counted of one layer, since it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpressLayerStats {
    /// Its place in the router's tables.
    pub layer: u32,
    /// Its label.
    pub ssrc: u32,
    /// Its kind.
    pub kind: String,
    /// Destinations the kernel serves now; the others are the workers'.
    pub destinations: u64,
    /// Packets of it that were replicated; `lost` were over its rate.
    #[serde(flatten)]
    pub heard: ExpressTally,
}

/// What the express plane counted of one destination, since it was first bound over UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpressLinkStats {
    /// Its place in the router's tables.
    pub link: u32,
    /// Its kind.
    pub kind: String,
    /// Copies its device took; `lost` it did not take.
    #[serde(flatten)]
    pub sent: ExpressTally,
}

/// Packets, their bytes, and packets lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpressTally {
    /// Packets.
    pub packets: u64,
    /// Their bytes, without headers below RTP.
    pub bytes: u64,
    /// Packets lost; not among the others.
    pub lost: u64,
}

/// One worker's part of [`Stats`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerStats {
    /// From 0.
    pub worker: u8,
    /// The core it is pinned to, as the kernel numbers them.
    pub core: Option<u32>,
    /// `uring` or `poll`.
    pub backend: String,
    /// When these counts were taken, in milliseconds since the daemon's start; about once a second.
    pub taken_ms: u64,
    /// Milliseconds since it last finished a turn.
    pub heartbeat_age_ms: u64,
    /// Share of the last second it did not wait, 0 to 1.
    pub busy: f64,
    /// Time it did not wait, since start, in nanoseconds.
    pub busy_ns: u64,
    /// Part of it: handing packets to the kernel and to the stream thread, in nanoseconds.
    pub transmit_ns: u64,
    /// Turns taken.
    pub turns: u64,
    /// Media accepted, by kind.
    pub received: BTreeMap<String, TrafficStats>,
    /// Everything sent, by the link's kind.
    pub sent: BTreeMap<String, TrafficStats>,
    /// STUN checks answered.
    pub stun: u64,
    /// RTCP compounds accepted.
    pub rtcp: u64,
    /// Packets sent again from the history.
    pub retransmitted: u64,
    /// Packets dropped, by reason; only reasons that occurred.
    pub drops: BTreeMap<String, u64>,
    /// Datagrams the kernel dropped because a socket's buffer was full.
    pub kernel_drops: u64,
    /// Times the ring had no buffer left.
    pub ring_overflows: u64,
    /// Paths that refused GSO.
    pub gso_refused: u64,
    /// Media packets per train received.
    pub train_packets: Distribution,
    /// Packets per turn that received any.
    pub batch_packets: Distribution,
    /// Heard to handed to the kernel, in microseconds.
    pub latency_us: Distribution,
    /// The same over the last second alone.
    pub latency_recent_us: Distribution,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficStats {
    /// Packets.
    pub packets: u64,
    /// Bytes, without headers below RTP.
    pub bytes: u64,
}

/// How a quantity was spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How often it was measured.
    pub count: u64,
    /// Its mean.
    pub mean: f64,
    /// Its median.
    pub p50: u64,
    /// 99 of 100 were at most this.
    pub p99: u64,
    /// Its maximum.
    pub max: u64,
}
