//! Every metric there is, with the meaning that docs/metrics.md repeats for operators.

use super::{Family, Sample, Scrape, Value, buckets};
use crate::about::VERSION;
use crate::control::WorkerCounts;
use crate::express::{Counts, Outcome, Tally};
use hdrhistogram::Histogram;
use prometheus_client::metrics::MetricType::{self, Counter, Gauge};
use router::{DropCounters, DropReason, Traffic};
use std::collections::BTreeMap;
use wire::{Kind, Transport};

/// Upper bounds of forward latency, in microseconds.
const LATENCY_US: [u64; 14] =
    [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000];
/// Upper bounds of how long the kernel takes for all copies, in nanoseconds.
const EXPRESS_NS: [u64; 10] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 2_000_000];
/// Upper bounds of packets per train.
const TRAIN: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Upper bounds of packets per turn.
const BATCH: [u64; 9] = [1, 4, 16, 64, 128, 256, 512, 1_024, 4_096];

const fn gauge(
    name: &'static str,
    help: &'static str,
    samples: fn(&Scrape) -> Vec<Sample>,
) -> Family {
    Family { name, help, metric_type: Gauge, samples }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    samples: fn(&Scrape) -> Vec<Sample>,
) -> Family {
    Family { name, help, metric_type: Counter, samples }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    samples: fn(&Scrape) -> Vec<Sample>,
) -> Family {
    Family { name, help, metric_type: MetricType::Histogram, samples }
}

pub(super) const FAMILIES: &[Family] = &[
    // The daemon.
    gauge("build_info", "Always 1; the labels tell version, zone and backends", |s| {
        let labels = vec![
            ("version", VERSION.to_owned()),
            ("zone", s.about.zone.clone()),
            ("backend", s.about.backend.name().to_owned()),
            ("door_backend", s.about.door_backend.to_owned()),
        ];
        vec![Sample { labels, value: Value::Integer(1) }]
    }),
    gauge("uptime_seconds", "Since start", |s| one(Value::Float(s.snapshot.uptime.as_secs_f64()))),
    gauge("keys_age_seconds", "Since a URL last told its public keys, or was first asked", |s| {
        let ages = s.about.fetches.ages_s().into_iter();
        ages.map(|(url, age_s)| Sample { labels: vec![("url", url)], value: Value::Integer(age_s) })
            .collect()
    }),
    counter("keys_fetches", "Times public keys were asked for, by outcome", |s| {
        let outcomes = s.about.fetches.outcomes().into_iter();
        let sample = |(outcome, count): (&str, u64)| Sample {
            labels: vec![("outcome", outcome.to_owned())],
            value: Value::Integer(count),
        };
        outcomes.map(sample).collect()
    }),
    gauge("draining", "1 while newcomers are turned away", |s| {
        integer(u64::from(s.snapshot.draining.is_some()))
    }),
    gauge("meetings", "Meetings with a participant", |s| integer(s.snapshot.summary.meetings)),
    gauge("participants", "Participants, those without a control channel included", |s| {
        integer(s.snapshot.summary.participants)
    }),
    gauge("streams", "Streams published", |s| integer(s.snapshot.summary.streams)),
    gauge("links", "Links bound", |s| {
        let links = Transport::ALL.iter().zip(s.snapshot.summary.links);
        labelled("transport", links.map(|(transport, count)| (transport.name(), count)))
    }),
    gauge("table_entries", "Entries of the routers' tables in use", |s| {
        let tables = s.snapshot.tables.iter();
        labelled("table", tables.map(|table| (table.name, u64::from(table.used))))
    }),
    gauge("table_size", "Entries the routers' tables have room for", |s| {
        let tables = s.snapshot.tables.iter();
        labelled("table", tables.map(|table| (table.name, u64::from(table.size))))
    }),
    // Packets of the workers.
    counter("packets_received", "Media packets accepted", |s| {
        traffic(s, |worker| &worker.report.counters.received, |traffic| traffic.packets)
    }),
    counter("bytes_received", "Their bytes, without headers below RTP", |s| {
        traffic(s, |worker| &worker.report.counters.received, |traffic| traffic.bytes)
    }),
    counter("packets_sent", "Packets sent to links: media, repair, RTCP and STUN", |s| {
        traffic(s, |worker| &worker.report.counters.sent, |traffic| traffic.packets)
    }),
    counter("bytes_sent", "Their bytes, without headers below RTP", |s| {
        traffic(s, |worker| &worker.report.counters.sent, |traffic| traffic.bytes)
    }),
    counter("packets_dropped", "Packets that did not leave, by the one reason why", |s| {
        per_worker_many(s, |worker| drops(&worker.report.drops))
    }),
    counter("packets_retransmitted", "Packets sent again because a subscriber missed them", |s| {
        per_worker(s, |worker| worker.report.counters.retransmitted)
    }),
    counter("stun_checks", "STUN checks answered", |s| {
        per_worker(s, |worker| worker.report.counters.stun)
    }),
    counter("rtcp_received", "RTCP compounds accepted", |s| {
        per_worker(s, |worker| worker.report.counters.rtcp)
    }),
    counter("kernel_drops", "Datagrams the kernel dropped: a socket's buffer was full", |s| {
        per_worker(s, |worker| worker.report.kernel_drops)
    }),
    counter("ring_overflows", "Times a worker's ring had no buffer left", |s| {
        per_worker(s, |worker| worker.report.ring_overflows)
    }),
    counter("gso_refused", "Paths that refused trains and get single packets", |s| {
        per_worker(s, |worker| worker.report.gso_refused)
    }),
    histogram("train_packets", "Media packets per train received", |s| {
        one(buckets(&merged(s, |worker| &worker.report.trains), &TRAIN, 1.0))
    }),
    histogram("batch_packets", "Packets per turn that received any", |s| {
        one(buckets(&merged(s, |worker| &worker.report.batches), &BATCH, 1.0))
    }),
    histogram("forward_latency_seconds", "From heard to handed to the kernel", |s| {
        one(buckets(&merged(s, |worker| &worker.report.latency_us), &LATENCY_US, 1e-6))
    }),
    // The express plane.
    gauge("express", "1 when the kernel replicates what needs no worker", |s| {
        integer(u64::from(s.snapshot.express.is_some()))
    }),
    gauge("express_entries", "What it serves now: layers, routes and links it can reach", |s| {
        let extent = s.snapshot.express.as_ref().map(|it| it.extent).unwrap_or_default();
        let entries =
            [("layers", extent.layers), ("routes", extent.routes), ("links", extent.links)];
        labelled("of", entries.into_iter())
    }),
    counter("express_entries_refused", "Entries the kernel had no room or memory for", |s| {
        integer(s.snapshot.express.as_ref().map_or(0, |it| it.extent.refused))
    }),
    counter("express_packets_sent", "Copies that devices took; not among packets_sent", |s| {
        express_tallies(s, |counts| &counts.sent, |tally| tally.packets)
    }),
    counter("express_bytes_sent", "Their bytes, without headers below RTP", |s| {
        express_tallies(s, |counts| &counts.sent, |tally| tally.bytes)
    }),
    counter("express_packets", "What became of packets of served layers, and of copies", |s| {
        let counts = s.snapshot.express.as_ref().map(|it| it.outcomes).unwrap_or_default();
        let names = Outcome::ALL.iter().map(|outcome| outcome.name());
        labelled("outcome", names.zip(counts))
    }),
    counter("express_layer_packets", "Packets replicated, as their layers counted them", |s| {
        express_tallies(s, |counts| &counts.layers, |tally| tally.packets)
    }),
    counter("express_layer_packets_over_rate", "Packets over their layers' rates", |s| {
        express_tallies(s, |counts| &counts.layers, |tally| tally.lost)
    }),
    counter("express_link_packets", "Copies, as their destinations counted them", |s| {
        express_tallies(s, |counts| &counts.links, |tally| tally.packets)
    }),
    counter("express_link_packets_refused", "Copies that devices did not take", |s| {
        express_tallies(s, |counts| &counts.links, |tally| tally.lost)
    }),
    histogram("express_latency_seconds", "From seen to the last copy handed to its device", |s| {
        let none = || Histogram::new(2).expect("2 digits are within 0 to 5");
        let latency = s.snapshot.express.as_ref().map_or_else(none, |it| it.latency_ns.clone());
        one(buckets(&latency, &EXPRESS_NS, 1e-9))
    }),
    // The workers themselves.
    counter("worker_turns", "Turns taken", |s| per_worker(s, |worker| worker.report.turns)),
    counter("worker_busy_seconds", "Time not spent waiting", |s| {
        let busy = |worker: &WorkerCounts| super::as_f64(worker.report.busy_ns) / 1e9;
        per_worker_value(s, |worker| Value::Float(busy(worker)))
    }),
    counter("worker_transmit_seconds", "Part of it: handing packets to the kernel", |s| {
        let transmit = |worker: &WorkerCounts| super::as_f64(worker.report.transmit_ns) / 1e9;
        per_worker_value(s, |worker| Value::Float(transmit(worker)))
    }),
    gauge("worker_heartbeat_age_seconds", "Since the last turn; over 5 is unhealthy", |s| {
        per_worker_value(s, |worker| Value::Float(worker.heartbeat_age.as_secs_f64()))
    }),
    // The doors.
    gauge("door_connections", "Media connections open", |s| {
        let [tcp, tls] = s.snapshot.door.connections;
        labelled("transport", [("tcp", tcp), ("tls", tls)].into_iter())
    }),
    counter("door_connections_refused", "Connections ended by a limit or a deadline", |s| {
        integer(s.snapshot.door.refused)
    }),
    counter("door_connections_abandoned", "Connections left before they proved anything", |s| {
        integer(s.snapshot.door.abandoned)
    }),
    counter("door_packets_dropped", "Packets dropped at the doors, by reason", |s| {
        labelled("reason", drops(&s.snapshot.door.drops).map(|(_, name, count)| (name, count)))
    }),
    // Control channels.
    gauge("control_channels", "Control channels open, those being set up included", |s| {
        integer(s.snapshot.control.channels)
    }),
    counter("control_connections", "Connections for a control channel", |s| {
        integer(s.snapshot.control.accepted)
    }),
    counter("control_connections_refused", "Those that did not become one, by reason", |s| {
        labelled("reason", names(&s.snapshot.control.refused))
    }),
    counter("control_channels_closed", "Channels that ended, by reason", |s| {
        labelled("reason", names(&s.snapshot.control.closed))
    }),
    counter("control_requests", "Messages of clients", |s| integer(s.snapshot.control.requests)),
    counter("control_errors", "Messages refused, by error code", |s| {
        let errors = s.snapshot.control.errors.iter();
        labelled("code", errors.map(|(code, count)| (code.as_str(), *count)))
    }),
    gauge("control_orders_waiting", "Orders the slowest worker has not taken yet", |s| {
        integer(s.snapshot.control.orders_waiting)
    }),
];

fn one(value: Value) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value }]
}

fn integer(value: u64) -> Vec<Sample> {
    one(Value::Integer(value))
}

fn labelled<'a>(label: &'static str, values: impl Iterator<Item = (&'a str, u64)>) -> Vec<Sample> {
    let sample = |(name, count): (&str, u64)| Sample {
        labels: vec![(label, name.to_owned())],
        value: Value::Integer(count),
    };
    values.map(sample).collect()
}

fn express_tallies(
    scrape: &Scrape,
    tallies: fn(&Counts) -> &[Tally; 3],
    count: fn(&Tally) -> u64,
) -> Vec<Sample> {
    let tallies = scrape.snapshot.express.as_ref().map(|it| *tallies(it)).unwrap_or_default();
    labelled("kind", Kind::ALL.iter().map(|kind| (kind.name(), count(&tallies[kind.index()]))))
}

fn names(counts: &BTreeMap<&'static str, u64>) -> impl Iterator<Item = (&'static str, u64)> {
    counts.iter().map(|(name, count)| (*name, *count))
}

fn worker_label(worker: &WorkerCounts) -> (&'static str, String) {
    ("worker", worker.report.worker.0.to_string())
}

fn per_worker(scrape: &Scrape, count: impl Fn(&WorkerCounts) -> u64) -> Vec<Sample> {
    per_worker_value(scrape, |worker| Value::Integer(count(worker)))
}

fn per_worker_value(scrape: &Scrape, value: impl Fn(&WorkerCounts) -> Value) -> Vec<Sample> {
    let sample = |worker| Sample { labels: vec![worker_label(worker)], value: value(worker) };
    scrape.snapshot.workers.iter().map(sample).collect()
}

/// Several samples a worker, told apart by one more label.
fn per_worker_many<'a, I>(scrape: &'a Scrape, counts: impl Fn(&'a WorkerCounts) -> I) -> Vec<Sample>
where
    I: Iterator<Item = (&'static str, &'static str, u64)>,
{
    let mut samples = Vec::new();
    for worker in &scrape.snapshot.workers {
        samples.extend(counts(worker).map(|(label, name, count)| Sample {
            labels: vec![worker_label(worker), (label, name.to_owned())],
            value: Value::Integer(count),
        }));
    }
    samples
}

fn traffic(
    scrape: &Scrape,
    direction: fn(&WorkerCounts) -> &[Traffic; 3],
    count: fn(&Traffic) -> u64,
) -> Vec<Sample> {
    per_worker_many(scrape, |worker| {
        let kinds = Kind::ALL.iter().zip(direction(worker));
        kinds.map(move |(kind, traffic)| ("kind", kind.name(), count(traffic)))
    })
}

fn drops(counters: &DropCounters) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
    DropReason::ALL.iter().map(|reason| ("reason", reason.name(), counters.of(*reason)))
}

fn merged(scrape: &Scrape, histogram: impl Fn(&WorkerCounts) -> &Histogram<u64>) -> Histogram<u64> {
    let mut all: Option<Histogram<u64>> = None;
    for worker in &scrape.snapshot.workers {
        match &mut all {
            None => all = Some(histogram(worker).clone()),
            // All have the same bounds: one fits into another.
            Some(all) => all.add(histogram(worker)).unwrap_or_default(),
        }
    }
    all.unwrap_or_else(|| Histogram::new(2).expect("2 digits are within 0 to 5"))
}
