//! From raw counts to what an operator sees.

use crate::about::{About, VERSION};
use crate::control::{ControlCounts, DoorCounts, Snapshot, WorkerCounts};
use hdrhistogram::Histogram;
use router::{DropCounters, DropReason, Traffic};
use std::collections::BTreeMap;
use wire::stats::{ControlStats, Distribution, DoorStats, Stats, TrafficStats, WorkerStats};
use wire::{Kind, Transport};

/// What an operator sees of a snapshot.
pub(crate) fn of(about: &About, snapshot: &Snapshot) -> Stats {
    let summary = &snapshot.summary;
    let links = Transport::ALL.iter().zip(summary.links);
    Stats {
        version: VERSION.to_owned(),
        zone: about.zone.clone(),
        uptime_s: snapshot.uptime.as_secs(),
        draining_s: snapshot.draining.map(|left| left.as_secs()),
        addresses: about.addresses.clone(),
        door_backend: about.door_backend.to_owned(),
        meetings: summary.meetings,
        participants: summary.participants,
        streams: summary.streams,
        links: links.map(|(transport, count)| (transport.name().to_owned(), count)).collect(),
        control: control(&snapshot.control),
        door: door(&snapshot.door),
        workers: snapshot.workers.iter().map(|counts| worker(about, counts)).collect(),
    }
}

fn control(counts: &ControlCounts) -> ControlStats {
    let named = |counts: &BTreeMap<&'static str, u64>| {
        let occurred = counts.iter().filter(|(_, count)| **count > 0);
        occurred.map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    ControlStats {
        channels: counts.channels,
        accepted: counts.accepted,
        refused: named(&counts.refused),
        closed: named(&counts.closed),
        requests: counts.requests,
        errors: counts.errors.clone(),
        orders_waiting: counts.orders_waiting,
    }
}

fn door(counts: &DoorCounts) -> DoorStats {
    let [tcp, tls] = counts.connections;
    DoorStats {
        connections: [("tcp".to_owned(), tcp), ("tls".to_owned(), tls)].into(),
        refused: counts.refused,
        abandoned: counts.abandoned,
        drops: drops(&counts.drops),
    }
}

fn worker(about: &About, counts: &WorkerCounts) -> WorkerStats {
    let report = &counts.report;
    WorkerStats {
        worker: report.worker.0,
        backend: about.backend.name().to_owned(),
        heartbeat_age_ms: u64::try_from(counts.heartbeat_age.as_millis()).unwrap_or(u64::MAX),
        busy: counts.busy,
        turns: report.turns,
        received: traffic(&report.counters.received),
        sent: traffic(&report.counters.sent),
        stun: report.counters.stun,
        rtcp: report.counters.rtcp,
        retransmitted: report.counters.retransmitted,
        drops: drops(&report.drops),
        kernel_drops: report.kernel_drops,
        ring_overflows: report.ring_overflows,
        gso_refused: report.gso_refused,
        train_packets: distribution(&report.trains),
        batch_packets: distribution(&report.batches),
        latency_us: distribution(&report.latency_us),
        latency_recent_us: distribution(&counts.latency_recent_us),
    }
}

fn traffic(counts: &[Traffic; 3]) -> BTreeMap<String, TrafficStats> {
    let kinds = Kind::ALL.iter().zip(counts);
    kinds
        .map(|(kind, traffic)| {
            let Traffic { packets, bytes } = *traffic;
            (kind.name().to_owned(), TrafficStats { packets, bytes })
        })
        .collect()
}

fn drops(counters: &DropCounters) -> BTreeMap<String, u64> {
    let occurred = DropReason::ALL.iter().filter(|reason| counters.of(**reason) > 0);
    occurred.map(|reason| (reason.name().to_owned(), counters.of(*reason))).collect()
}

fn distribution(histogram: &Histogram<u64>) -> Distribution {
    if histogram.is_empty() {
        return Distribution::default();
    }
    Distribution {
        count: histogram.len(),
        mean: histogram.mean(),
        p50: histogram.value_at_quantile(0.5),
        p99: histogram.value_at_quantile(0.99),
        max: histogram.max(),
    }
}
