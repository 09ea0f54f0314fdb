//! From raw counts to what an operator sees.

use crate::about::{About, VERSION};
use crate::control::{Asker, ControlCounts, DoorCounts, Snapshot, WorkerCounts};
use crate::express::{self, LayerCount, LinkCount, Outcome, Tally};
use hdrhistogram::Histogram;
use router::{DropCounters, DropReason, KindSummary, Traffic};
use std::collections::BTreeMap;
use wire::stats::{
    ControlStats, Distribution, DoorStats, ExpressDetails, ExpressLayerStats, ExpressLinkStats,
    ExpressStats, ExpressTally, KindStats, Stats, TableStats, TrafficStats, WorkerStats,
};
use wire::{Kind, Transport};

/// What an operator sees of a snapshot.
pub(crate) fn of(about: &About, snapshot: &Snapshot) -> Stats {
    let summary = &snapshot.summary;
    let asker = snapshot.draining.map(|drain| drain.asker);
    let links = Transport::ALL.iter().zip(summary.links);
    Stats {
        version: VERSION.to_owned(),
        zone: about.zone.clone(),
        uptime_s: snapshot.uptime.as_secs(),
        epoch_ms: about.epoch_ms,
        draining_s: snapshot.draining.map(|drain| drain.left.as_secs()),
        drain_order: asker.and_then(|asker| match asker {
            Asker::Zone(order) => Some(order),
            Asker::Host | Asker::End => None,
        }),
        stopping: asker == Some(Asker::End),
        addresses: about.addresses.clone(),
        advertised: about.advertised.clone(),
        door_backend: about.door_backend.to_owned(),
        meetings: summary.meetings,
        participants: summary.participants,
        streams: summary.streams,
        links: links.map(|(transport, count)| (transport.name().to_owned(), count)).collect(),
        kinds: kinds(&summary.kinds),
        tables: tables(about, snapshot),
        latency_recent_us: latency_recent_us(&snapshot.workers),
        control: control(&snapshot.control),
        door: door(&snapshot.door),
        express: express(about, snapshot),
        workers: snapshot.workers.iter().map(|counts| worker(about, counts)).collect(),
    }
}

fn kinds(summaries: &[KindSummary; 3]) -> BTreeMap<String, KindStats> {
    let kinds = Kind::ALL.iter().zip(summaries);
    kinds
        .map(|(kind, summary)| {
            let KindSummary { streams, links, links_waiting } = *summary;
            (kind.name().to_owned(), KindStats { streams, links, links_waiting })
        })
        .collect()
}

fn tables(about: &About, snapshot: &Snapshot) -> BTreeMap<String, TableStats> {
    let sized = |used, size: u32| TableStats { used, size: u64::from(size) };
    let tables = snapshot.tables.iter();
    let tables = tables.map(|it| (it.name.to_owned(), sized(u64::from(it.used), it.size)));
    let connections = snapshot.door.connections.iter().sum();
    tables
        .chain([
            ("channels".to_owned(), sized(snapshot.control.channels, about.channels_max)),
            ("connections".to_owned(), sized(connections, about.connections_max)),
        ])
        .collect()
}

/// All workers' together.
fn latency_recent_us(workers: &[WorkerCounts]) -> Distribution {
    let mut workers = workers.iter().map(|counts| &counts.latency_recent_us);
    let Some(mut merged) = workers.next().cloned() else { return Distribution::default() };
    for histogram in workers {
        // Fails only for histograms of other bounds, and all workers' have the same.
        let _ = merged.add(histogram);
    }
    distribution(&merged)
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

fn express(about: &About, snapshot: &Snapshot) -> ExpressStats {
    let why = match &about.express {
        Ok(interfaces) => interfaces.join(", "),
        Err(why) => why.clone(),
    };
    let Some(counts) = &snapshot.express else {
        return ExpressStats { why, ..ExpressStats::default() };
    };
    let sent = Kind::ALL.iter().map(|kind| {
        let Tally { packets, bytes, .. } = counts.sent[kind.index()];
        (kind.name().to_owned(), TrafficStats { packets, bytes })
    });
    let outcomes = Outcome::ALL.iter().zip(counts.outcomes).filter(|(_, count)| *count > 0);
    ExpressStats {
        on: true,
        why,
        taken_ms: u64::try_from(snapshot.uptime.as_millis()).unwrap_or(u64::MAX),
        layers: counts.extent.layers,
        routes: counts.extent.routes,
        links: counts.extent.links,
        refused: counts.extent.refused,
        sent: sent.collect(),
        outcomes: outcomes.map(|(outcome, count)| (outcome.name().to_owned(), count)).collect(),
        layer_sums: sums(&counts.layers),
        link_sums: sums(&counts.links),
        layers_top: counts.top.layers.iter().map(layer).collect(),
        links_top: counts.top.links.iter().map(link).collect(),
        latency_ns: distribution(&counts.latency_ns),
        latency_recent_ns: distribution(&counts.latency_recent_ns),
    }
}

/// Every layer and link the express plane counts.
pub(crate) fn details(each: &express::Each) -> ExpressDetails {
    ExpressDetails {
        layers: each.layers.iter().map(layer).collect(),
        links: each.links.iter().map(link).collect(),
    }
}

fn layer(counted: &LayerCount) -> ExpressLayerStats {
    ExpressLayerStats {
        layer: counted.index,
        ssrc: counted.ssrc.0,
        kind: counted.kind.name().to_owned(),
        destinations: counted.destinations,
        heard: tally(&counted.tally),
    }
}

fn link(counted: &LinkCount) -> ExpressLinkStats {
    ExpressLinkStats {
        link: counted.index,
        kind: counted.kind.name().to_owned(),
        sent: tally(&counted.tally),
    }
}

fn sums(tallies: &[Tally; 3]) -> BTreeMap<String, ExpressTally> {
    let kinds = Kind::ALL.iter().zip(tallies);
    kinds.map(|(kind, counted)| (kind.name().to_owned(), tally(counted))).collect()
}

fn tally(counted: &Tally) -> ExpressTally {
    let Tally { packets, bytes, lost } = *counted;
    ExpressTally { packets, bytes, lost }
}

fn worker(about: &About, counts: &WorkerCounts) -> WorkerStats {
    let report = &counts.report;
    let taken = counts.taken_at.saturating_duration_since(about.started);
    WorkerStats {
        worker: report.worker.0,
        core: about.cores.get(usize::from(report.worker.0)).copied().flatten(),
        backend: about.backend.name().to_owned(),
        taken_ms: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
        heartbeat_age_ms: u64::try_from(counts.heartbeat_age.as_millis()).unwrap_or(u64::MAX),
        busy: counts.busy,
        busy_ns: report.busy_ns,
        transmit_ns: report.transmit_ns,
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
