//! The daemon: its counts since start become rates.

use super::express::ExpressView;
use super::host::CoreLoad;
use super::rates::{losses_per_s, per_s};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wire::Kind;
use wire::limits::REPORT_WORKERS_MAX;
use wire::load::{Drain, Flow, KindLoad, Kinds, Latency, RouterLoad, TableUse, WorkerLoad};
use wire::stats::{Stats, TrafficStats, WorkerStats};

/// A daemon found running for longer than this is known from the second look on; of a younger one
/// the first look tells enough.
const YOUNG_MS: u64 = 5_000;

/// The daemon as it was last seen.
#[derive(Debug, Default)]
pub(super) struct RouterView {
    newest: Option<Stats>,
    workers: BTreeMap<u8, Worker>,
    express: Option<ExpressView>,
}

/// One worker's newest counts, and what they say against those before.
#[derive(Debug)]
struct Worker {
    counts: WorkerStats,
    rates: Rates,
}

/// What a worker counts, a second.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    received: [Flow; 3],
    sent: [Flow; 3],
    drops: u64,
    kernel_drops: u64,
    ring_overflows: u64,
}

impl RouterView {
    pub(super) fn handle(&mut self, stats: &Stats) {
        if self.newest.as_ref().is_none_or(|before| before.epoch_ms != stats.epoch_ms) {
            self.workers.clear();
            self.express = None;
        }
        self.express = ExpressView::next(self.express.take(), &stats.express);
        for worker in stats.workers.iter().take(REPORT_WORKERS_MAX) {
            self.handle_worker(worker);
        }
        self.newest = Some(stats.clone());
    }

    /// The daemon no longer answers.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn load(&self, cores: &BTreeMap<u32, CoreLoad>) -> Option<RouterLoad> {
        let stats = self.newest.as_ref()?;
        let latency = stats.latency_recent_us;
        Some(RouterLoad {
            version: stats.version.clone(),
            epoch_ms: stats.epoch_ms,
            backend: stats.workers.first().map(|it| it.backend.clone()).unwrap_or_default(),
            door_backend: stats.door_backend.clone(),
            addresses: stats.advertised.clone(),
            drain: stats.draining_s.map(|left_s| Drain { left_s, order: stats.drain_order }),
            meetings: stats.meetings,
            participants: stats.participants,
            kinds: Kinds {
                audio: self.kind(stats, Kind::Audio),
                video: self.kind(stats, Kind::Video),
                content: self.kind(stats, Kind::Content),
            },
            latency: Latency { count: latency.count, p50_us: latency.p50, p99_us: latency.p99 },
            kernel_drops_per_s: self.kernel_drops(),
            express: self.express.as_ref().map(ExpressView::load),
            workers: self.workers.values().map(|worker| worker.load(cores)).collect(),
            capacity: stats
                .tables
                .iter()
                .map(|(table, it)| TableUse { table: table.clone(), used: it.used, size: it.size })
                .collect(),
        })
    }

    pub(super) fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.newest.as_ref().map(|stats| stats.advertised.tls.clone()).unwrap_or_default()
    }

    pub(super) fn media_ports(&self) -> Vec<u16> {
        let bound = self.newest.iter().flat_map(|stats| &stats.addresses.udp);
        bound.map(SocketAddr::port).collect()
    }

    fn handle_worker(&mut self, counts: &WorkerStats) {
        let young = counts.taken_ms < YOUNG_MS;
        let known = self.workers.entry(counts.worker).or_insert_with(|| Worker {
            counts: if young { WorkerStats::default() } else { counts.clone() },
            rates: Rates::default(),
        });
        // Counts are taken once a second, and looked at once a second: sometimes they are still those
        // of the last look.
        let passed_ms = counts.taken_ms.saturating_sub(known.counts.taken_ms);
        if let Ok(passed_ms) = u32::try_from(passed_ms)
            && passed_ms > 0
        {
            known.rates = Rates::between(&known.counts, counts, f64::from(passed_ms) / 1e3);
        }
        known.counts = counts.clone();
    }

    fn kernel_drops(&self) -> u64 {
        let drops = self.workers.values().map(|it| it.rates.kernel_drops);
        drops.fold(0, u64::saturating_add)
    }

    fn kind(&self, stats: &Stats, kind: Kind) -> KindLoad {
        let all = |flow: fn(&Rates) -> &[Flow; 3]| {
            sum(self.workers.values().map(|worker| flow(&worker.rates)[kind.index()]))
        };
        let express = self.express.as_ref().map(|it| it.sent(kind));
        let there = stats.kinds.get(kind.name()).copied().unwrap_or_default();
        KindLoad {
            received: all(|rates| &rates.received),
            sent: sum([all(|rates| &rates.sent)].into_iter().chain(express)),
            streams: there.streams,
            links: there.links,
            links_waiting: there.links_waiting,
        }
    }
}

impl Worker {
    fn load(&self, cores: &BTreeMap<u32, CoreLoad>) -> WorkerLoad {
        let core = self.counts.core;
        WorkerLoad {
            worker: self.counts.worker,
            core,
            busy: self.counts.busy.clamp(0.0, 1.0),
            softirq: core.and_then(|core| cores.get(&core)).map(|it| it.softirq),
            received: sum(self.rates.received.into_iter()),
            sent: sum(self.rates.sent.into_iter()),
            drops_per_s: self.rates.drops,
            ring_overflows_per_s: self.rates.ring_overflows,
            heartbeat_age_ms: self.counts.heartbeat_age_ms,
        }
    }
}

impl Rates {
    fn between(before: &WorkerStats, now: &WorkerStats, seconds: f64) -> Self {
        let all = |traffic: fn(&WorkerStats) -> &BTreeMap<String, TrafficStats>| {
            flows(traffic(before), traffic(now), seconds)
        };
        let losses =
            |count: fn(&WorkerStats) -> u64| losses_per_s(count(before), count(now), seconds);
        Self {
            received: all(|it| &it.received),
            sent: all(|it| &it.sent),
            drops: losses(|it| it.drops.values().copied().fold(0, u64::saturating_add)),
            kernel_drops: losses(|it| it.kernel_drops),
            ring_overflows: losses(|it| it.ring_overflows),
        }
    }
}

/// By kind.
pub(super) fn flows(
    before: &BTreeMap<String, TrafficStats>,
    now: &BTreeMap<String, TrafficStats>,
    seconds: f64,
) -> [Flow; 3] {
    Kind::ALL.map(|kind| {
        let of = |it: &BTreeMap<String, TrafficStats>| it.get(kind.name()).copied();
        let (before, now) = (of(before).unwrap_or_default(), of(now).unwrap_or_default());
        Flow {
            packets_per_s: per_s(before.packets, now.packets, seconds),
            bits_per_s: per_s(before.bytes, now.bytes, seconds).saturating_mul(8),
        }
    })
}

pub(super) fn sum(flows: impl Iterator<Item = Flow>) -> Flow {
    flows.fold(Flow::default(), |sum, flow| Flow {
        packets_per_s: sum.packets_per_s.saturating_add(flow.packets_per_s),
        bits_per_s: sum.bits_per_s.saturating_add(flow.bits_per_s),
    })
}
