//! From a stretch of load to figures with names.

use crate::measure::Stretch;
use crate::results::Results;
use crate::scene::{Answer, Contender};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use wire::stats::WorkerStats;

/// Where a contender's figures go.
pub(super) struct Notes<'r> {
    pub(super) results: &'r mut Results,
    pub(super) shape: &'static str,
    pub(super) contender: Contender,
    pub(super) round: usize,
}

impl Notes<'_> {
    pub(super) fn note(&mut self, metric: &str, value: f64) {
        self.results.note(self.shape, self.contender.name(), self.round, metric, value);
    }

    #[allow(clippy::cast_precision_loss, reason = "nanoseconds below 2^52")]
    pub(super) fn note_latency(&mut self, at: &str, latency: &Histogram<u64>) {
        for (quantile, name) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
            let value = latency.value_at_quantile(quantile) as f64 / 1e3;
            self.note(&format!("latency_{at}_{name}_us"), value);
        }
    }

    /// Where the core's time went: with the forwarding thread, a router's own stages told apart, and outside it, with
    /// interrupts, softirqs and others. A router's clock reads span both moments, and so do the packets they are divided
    /// by; they mean something on a core of its own, not on the load's.
    #[allow(clippy::cast_precision_loss, reason = "counts and nanoseconds below 2^52")]
    pub(super) fn note_stages(&mut self, stretch: &Stretch, moments: Option<(&Answer, &Answer)>) {
        let rest = stretch.core.saturating_sub(stretch.thread);
        self.note("stage_outside_ns", stretch.per_datagram_ns(rest));
        let thread = stretch.per_datagram_ns(stretch.thread);
        let Some((before, after)) = moments else { return self.note("stage_thread_ns", thread) };
        let grown = |of: fn(&WorkerStats) -> u64| {
            let sum = |answer: &Answer| answer.stats.workers.iter().map(of).sum::<u64>();
            (sum(after) - sum(before)) as f64
        };
        let sent = grown(|worker| worker.sent.values().map(|traffic| traffic.packets).sum());
        let busy = grown(|worker| worker.busy_ns) / sent.max(1.0);
        let transmit = grown(|worker| worker.transmit_ns) / sent.max(1.0);
        self.note("stage_receive_ns", (thread - busy).max(0.0));
        self.note("stage_route_ns", busy - transmit);
        self.note("stage_transmit_ns", transmit);
    }

    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    pub(super) fn note_drops(&mut self, stretch: &Stretch) {
        let drops = &stretch.drops;
        for (place, count) in [
            ("router_transmit", drops.router_transmit),
            ("router_receive", drops.router_receive),
            ("router_sockets", drops.router_sockets),
            ("load_transmit", drops.load_transmit),
        ] {
            self.note(&format!("drops_{place}"), count as f64);
        }
    }

    /// What only a router can tell: its batches, trains and drops since its start.
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    pub(super) fn note_router(&mut self, answer: &Answer) {
        let workers = &answer.stats.workers;
        let count = workers.len().max(1) as f64;
        let mean = |of: fn(&WorkerStats) -> f64| workers.iter().map(of).sum::<f64>() / count;
        self.note("batch_packets", mean(|worker| worker.batch_packets.mean));
        self.note("train_packets", mean(|worker| worker.train_packets.mean));
        let mut drops = BTreeMap::<&str, u64>::new();
        for (reason, count) in workers.iter().flat_map(|worker| &worker.drops) {
            *drops.entry(reason).or_default() += count;
        }
        for (reason, count) in drops.into_iter().filter(|(_, count)| *count > 0) {
            self.note(&format!("drops_router_{reason}"), count as f64);
        }
    }
}
