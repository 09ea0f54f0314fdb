//! The daemon's counts at one moment, as stats and metrics are made from.

use super::request::{Asker, CloseReason};
use crate::exchange::{DoorPort, Exchange};
use crate::report::WorkerReport;
use router::{DropCounters, DropReason, Summary};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wire::control::ErrorCode;

/// The daemon's counts at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) uptime: Duration,
    pub(crate) draining: Option<Draining>,
    pub(crate) summary: Summary,
    /// How full each of the routers' tables is.
    pub(crate) tables: [Table; 3],
    pub(crate) control: ControlCounts,
    pub(crate) door: DoorCounts,
    /// When it is on.
    pub(crate) express: Option<crate::express::Counts>,
    pub(crate) workers: Vec<WorkerCounts>,
}

/// A drain under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draining {
    /// Until its deadline.
    pub(crate) left: Duration,
    pub(crate) asker: Asker,
}

/// One of the routers' tables, on every worker the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Entries in use.
    pub(crate) used: u32,
    /// Entries there is room for.
    pub(crate) size: u32,
}

/// The control thread's counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ControlCounts {
    /// Connections and channels now.
    pub(crate) channels: u64,
    /// Connections the door passed on.
    pub(crate) accepted: u64,
    /// Those that did not become a channel, by reason.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Channels that ended, by reason.
    pub(crate) closed: BTreeMap<&'static str, u64>,
    /// Requests received.
    pub(crate) requests: u64,
    /// Requests refused, by error code.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Orders that wait for the worker furthest behind.
    pub(crate) orders_waiting: u64,
}

/// The stream thread's counts.
#[derive(Clone, Debug)]
pub(crate) struct DoorCounts {
    pub(crate) drops: DropCounters,
    /// TCP, TLS.
    pub(crate) connections: [u64; 2],
    pub(crate) refused: u64,
    pub(crate) abandoned: u64,
}

/// One worker's counts, at most [`super::limits::REPORT_INTERVAL`] old.
#[derive(Clone, Debug)]
pub(crate) struct WorkerCounts {
    pub(crate) report: WorkerReport,
    /// When it came.
    pub(crate) taken_at: Instant,
    /// Counts of the last interval alone.
    pub(crate) busy: f64,
    pub(crate) latency_recent_us: hdrhistogram::Histogram<u64>,
    /// Since it last finished a turn.
    pub(crate) heartbeat_age: Duration,
}

/// Reasons a connection may not become a channel, all of them.
pub(crate) const REFUSALS: [&str; 5] = ["total", "address", "tls", "http", "late"];

impl ControlCounts {
    pub(super) fn new() -> Self {
        let closed = CloseReason::ALL.iter().map(|reason| (reason.name(), 0)).collect();
        let refused = REFUSALS.iter().map(|reason| (*reason, 0)).collect();
        Self { closed, refused, ..Self::default() }
    }

    pub(super) fn count_error(&mut self, code: ErrorCode) {
        *self.errors.entry(code_name(code)).or_default() += 1;
    }
}

impl DoorCounts {
    pub(super) fn of(door: &DoorPort) -> Self {
        let mut drops = DropCounters::default();
        for (reason, count) in DropReason::ALL.iter().zip(&door.drops) {
            drops.add(*reason, count.load(Ordering::Relaxed));
        }
        let connections =
            [0, 1].map(|which: usize| door.connections[which].load(Ordering::Relaxed));
        let [refused, abandoned] =
            [&door.refused, &door.abandoned].map(|count| count.load(Ordering::Relaxed));
        Self { drops, connections, refused, abandoned }
    }
}

/// How long ago each worker finished a turn.
pub(crate) fn heartbeat_ages(exchange: &Exchange, now: Instant) -> Vec<Duration> {
    let now = now.saturating_duration_since(exchange.started);
    let age = |beat: u64| now.saturating_sub(Duration::from_millis(beat));
    exchange.workers.iter().map(|worker| age(worker.heartbeat_ms.load(Ordering::Relaxed))).collect()
}

/// The code's name on the wire.
fn code_name(code: ErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "unknown".to_owned(),
    }
}
