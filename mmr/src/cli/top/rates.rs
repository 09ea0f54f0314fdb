//! From two looks at the counts to what happened in between, per second.

use std::collections::BTreeMap;
use std::time::Duration;
use wire::Kind;
use wire::stats::{
    Distribution, ExpressLayerStats, ExpressLinkStats, ExpressStats, ExpressTally, Stats,
    TrafficStats, WorkerStats,
};

/// What happened between two looks.
pub(super) struct Rates {
    /// The later look.
    pub(super) now: Stats,
    pub(super) workers: Vec<WorkerRates>,
    /// All workers and the express plane together, by `Kind::index`.
    pub(super) kinds: [Flow; 3],
    /// Layers and links of the express plane, the busiest.
    pub(super) layers: Vec<LayerRates>,
    pub(super) links: Vec<LinkRates>,
    /// Every reason that occurred, with how many a second and how many since start; most frequent
    /// first.
    pub(super) drops: Vec<(String, f64, u64)>,
}

/// One worker's part.
pub(super) struct WorkerRates {
    pub(super) worker: u8,
    pub(super) backend: String,
    pub(super) busy: f64,
    pub(super) heartbeat_age_ms: u64,
    pub(super) flow: Flow,
    pub(super) latency_us: Distribution,
}

/// A layer that the kernel serves; packets a second.
pub(super) struct LayerRates {
    pub(super) kind: String,
    pub(super) ssrc: u32,
    pub(super) destinations: u64,
    pub(super) heard: f64,
    pub(super) over_rate: f64,
}

/// A link that the kernel serves; packets a second.
pub(super) struct LinkRates {
    pub(super) kind: String,
    pub(super) link: u32,
    pub(super) sent: f64,
    pub(super) refused: f64,
}

/// Packets and bits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) packets_in: f64,
    pub(super) bits_in: f64,
    pub(super) packets_out: f64,
    pub(super) bits_out: f64,
}

impl Rates {
    pub(super) fn between(before: &Stats, now: &Stats, interval: Duration) -> Self {
        let seconds = interval.as_secs_f64().max(0.001);
        // A daemon that was started anew counts from zero.
        let restarted = now.uptime_s < before.uptime_s;
        let nothing =
            Stats { workers: Vec::new(), express: ExpressStats::default(), ..before.clone() };
        let before = if restarted { &nothing } else { before };
        let idle = WorkerStats::default();
        let pairs = now.workers.iter().enumerate();
        let pairs: Vec<(&WorkerStats, &WorkerStats)> =
            pairs.map(|(at, now)| (before.workers.get(at).unwrap_or(&idle), now)).collect();
        let kinds = Kind::ALL.map(|kind| {
            let flows = pairs.iter().map(|(before, now)| Flow::of(kind, before, now, seconds));
            let express = Flow::of_express(kind, before, now, seconds);
            flows.fold(express, Flow::plus)
        });
        Self {
            workers: pairs.iter().map(|(before, now)| worker(before, now, seconds)).collect(),
            kinds,
            layers: layers(&before.express, &now.express, seconds),
            links: links(&before.express, &now.express, seconds),
            drops: drops(before, now, seconds),
            now: now.clone(),
        }
    }
}

impl Flow {
    fn of(kind: Kind, before: &WorkerStats, now: &WorkerStats, seconds: f64) -> Self {
        let traffic = |traffic: &BTreeMap<String, TrafficStats>| {
            traffic.get(kind.name()).copied().unwrap_or_default()
        };
        let rate = |before: u64, now: u64| as_f64(now.saturating_sub(before)) / seconds;
        let (heard_before, heard) = (traffic(&before.received), traffic(&now.received));
        let (sent_before, sent) = (traffic(&before.sent), traffic(&now.sent));
        Self {
            packets_in: rate(heard_before.packets, heard.packets),
            bits_in: rate(heard_before.bytes, heard.bytes) * 8.0,
            packets_out: rate(sent_before.packets, sent.packets),
            bits_out: rate(sent_before.bytes, sent.bytes) * 8.0,
        }
    }

    /// What the kernel sent by itself; what it heard, workers heard as well.
    fn of_express(kind: Kind, before: &Stats, now: &Stats, seconds: f64) -> Self {
        let sent = |stats: &Stats| stats.express.sent.get(kind.name()).copied().unwrap_or_default();
        let (before, now) = (sent(before), sent(now));
        let rate = |before: u64, now: u64| as_f64(now.saturating_sub(before)) / seconds;
        Self {
            packets_out: rate(before.packets, now.packets),
            bits_out: rate(before.bytes, now.bytes) * 8.0,
            ..Self::default()
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            packets_in: self.packets_in + other.packets_in,
            bits_in: self.bits_in + other.bits_in,
            packets_out: self.packets_out + other.packets_out,
            bits_out: self.bits_out + other.bits_out,
        }
    }
}

fn worker(before: &WorkerStats, now: &WorkerStats, seconds: f64) -> WorkerRates {
    let flows = Kind::ALL.map(|kind| Flow::of(kind, before, now, seconds));
    WorkerRates {
        worker: now.worker,
        backend: now.backend.clone(),
        busy: now.busy,
        heartbeat_age_ms: now.heartbeat_age_ms,
        flow: flows.into_iter().fold(Flow::default(), Flow::plus),
        latency_us: now.latency_recent_us,
    }
}

fn layers(before: &ExpressStats, now: &ExpressStats, seconds: f64) -> Vec<LayerRates> {
    let known = |now: &ExpressLayerStats| {
        let mut before = before.layers_top.iter();
        before.find(|it| (it.layer, it.ssrc) == (now.layer, now.ssrc)).map(|it| it.heard)
    };
    let rates = now.layers_top.iter().map(|now| {
        let (heard, over_rate) = packets(known(now), now.heard, seconds);
        let ExpressLayerStats { kind, ssrc, destinations, .. } = now.clone();
        LayerRates { kind, ssrc, destinations, heard, over_rate }
    });
    rates.collect()
}

fn links(before: &ExpressStats, now: &ExpressStats, seconds: f64) -> Vec<LinkRates> {
    let known = |now: &ExpressLinkStats| {
        let mut before = before.links_top.iter();
        before.find(|it| it.link == now.link).map(|it| it.sent)
    };
    let rates = now.links_top.iter().map(|now| {
        let (sent, refused) = packets(known(now), now.sent, seconds);
        LinkRates { kind: now.kind.clone(), link: now.link, sent, refused }
    });
    rates.collect()
}

/// Packets and losses a second; of what was not among the busiest before, nothing can be said yet.
fn packets(before: Option<ExpressTally>, now: ExpressTally, seconds: f64) -> (f64, f64) {
    let before = before.unwrap_or(now);
    let rate = |before: u64, now: u64| as_f64(now.saturating_sub(before)) / seconds;
    (rate(before.packets, now.packets), rate(before.lost, now.lost))
}

fn drops(before: &Stats, now: &Stats, seconds: f64) -> Vec<(String, f64, u64)> {
    let before = drops_in_all(before);
    let rate = |(reason, count): (String, u64)| {
        let new = count.saturating_sub(before.get(&reason).copied().unwrap_or(0));
        (reason, as_f64(new) / seconds, count)
    };
    let mut drops: Vec<_> = drops_in_all(now).into_iter().map(rate).collect();
    drops.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)));
    drops
}

/// What the express plane loses; everything else it does not serve is the workers'.
const EXPRESS_LOSSES: [&str; 3] = ["gone", "device_refused", "no_memory"];

/// Of all workers, the kernel and the doors.
fn drops_in_all(stats: &Stats) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    let workers = stats.workers.iter().flat_map(|worker| &worker.drops);
    for (reason, count) in workers.chain(&stats.door.drops) {
        *all.entry(reason.clone()).or_default() += count;
    }
    let kernel: u64 = stats.workers.iter().map(|worker| worker.kernel_drops).sum();
    if kernel > 0 {
        all.insert("kernel".to_owned(), kernel);
    }
    let express = stats.express.outcomes.iter();
    for (reason, count) in express.filter(|(reason, _)| EXPRESS_LOSSES.contains(&reason.as_str())) {
        all.insert(format!("express_{reason}"), *count);
    }
    all
}

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
