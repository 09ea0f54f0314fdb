//! Samples in, reports out: the cases a controller's decisions hang on.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::proc::{self, CoreTimes, InterfaceCounts, Softnet, UdpErrors};
use proptest::prelude::*;
use wire::load::{HostLoad, Memory};
use wire::stats::{Distribution, ExpressStats, KindStats, TableStats, TrafficStats, WorkerStats};

fn settings() -> Settings {
    Settings {
        mmr: "mmr-1".to_owned().try_into().unwrap(),
        zone: "example".to_owned(),
        name: None,
        epoch_ms: 1_800_000_000_000,
        thresholds: Thresholds::default(),
        participants: 100,
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A host with two cores after so many seconds of this.
fn host(seconds: u64, busy: [u64; 2]) -> HostSample {
    let core = |busy: u64| CoreTimes {
        total: seconds * 100,
        idle: seconds * (100 - busy),
        softirq: seconds * busy / 2,
        steal: 0,
    };
    HostSample {
        cores: [(0, core(busy[0])), (1, core(busy[1]))].into(),
        memory: Memory { total_bytes: 1 << 30, available_bytes: 3 << 28 },
        interfaces: vec![InterfaceSample {
            counts: InterfaceCounts {
                name: "eth0".to_owned(),
                bytes_in: seconds * 1_000_000,
                packets_in: seconds * 1_000,
                bytes_out: seconds * 10_000_000,
                packets_out: seconds * 10_000,
                drops: seconds / 3,
            },
            speed_bits_per_s: Some(1_000_000_000),
        }],
        ..HostSample::default()
    }
}

/// A daemon after so many seconds, with its one worker this busy.
fn stats(seconds: u64, busy: f64, participants: u64) -> Stats {
    let traffic = |packets| TrafficStats { packets, bytes: packets * 1_000 };
    Stats {
        version: "0.1.0".to_owned(),
        epoch_ms: 1_700_000_000_000,
        advertised: wire::control::Addresses {
            tls: vec!["192.0.2.7:443".parse().unwrap()],
            ..Default::default()
        },
        participants,
        kinds: [("video".to_owned(), KindStats { streams: 3, links: 8, links_waiting: 1 })].into(),
        tables: [("links".to_owned(), TableStats { used: 9, size: 100 })].into(),
        latency_recent_us: Distribution { count: 7, p50: 80, p99: 300, ..Default::default() },
        workers: vec![WorkerStats {
            worker: 0,
            core: Some(1),
            backend: "uring".to_owned(),
            taken_ms: seconds * 1_000,
            busy,
            received: [("video".to_owned(), traffic(seconds * 100))].into(),
            sent: [("video".to_owned(), traffic(seconds * 700))].into(),
            drops: [("stranger".to_owned(), seconds / 2)].into(),
            kernel_drops: seconds,
            ..WorkerStats::default()
        }],
        ..Stats::default()
    }
}

/// A host and a daemon, looked at once a second.
struct Scene {
    core: Core,
    now: u64,
}

impl Scene {
    fn new() -> Self {
        Self { core: Core::new(settings()), now: 0 }
    }

    /// So many seconds with the worker and its core this busy.
    fn pass(&mut self, seconds: u64, busy: f64, participants: u64) -> Report {
        let mut report = None;
        for _ in 0..seconds {
            self.now += 1;
            self.core.handle_health(s(self.now), Health::Well);
            self.core.handle_stats(&stats(self.now, busy, participants));
            self.core.handle_host(s(self.now), host(self.now, [10, 40]));
            report = self.core.poll_report();
        }
        report.unwrap()
    }

    fn tell(&mut self, health: Health) -> (State, Option<String>) {
        self.core.handle_health(s(self.now), health);
        let report = self.core.poll_report().unwrap();
        (report.state, report.reason)
    }
}

#[test]
fn tells_what_host_and_daemon_did_in_the_last_interval() {
    let mut scene = Scene::new();
    let report = scene.pass(5, 0.5, 20);
    assert_eq!((report.v, report.sequence, report.interval_ms), (1, 4, 1_000));
    assert_eq!(report.state, State::Serving);
    let control = report.control.unwrap();
    assert_eq!((control.name.as_str(), control.addresses.len()), ("192.0.2.7", 1));
    let router = report.router.unwrap();
    let video = router.kinds.video;
    assert_eq!((video.received.packets_per_s, video.received.bits_per_s), (100, 800_000));
    assert_eq!((video.sent.packets_per_s, video.streams, video.links_waiting), (700, 3, 1));
    assert_eq!((router.latency.p50_us, router.latency.p99_us), (80, 300));
    assert_eq!(router.kernel_drops_per_s, 1);
    let worker = router.workers[0];
    assert_eq!((worker.core, worker.busy, worker.softirq), (Some(1), 0.5, Some(0.2)));
    assert_eq!(worker.sent.packets_per_s, 700);
    let HostLoad { cores, busy, interfaces, .. } = report.host;
    assert_eq!((cores, busy), (2, 0.25));
    assert_eq!(interfaces[0].bits_out_per_s, 80_000_000);
    assert_eq!(interfaces[0].used, Some(0.08));
}

#[test]
fn what_the_kernel_sends_by_itself_is_among_what_is_sent_and_told_apart() {
    let mut core = Core::new(settings());
    for now in 1..=3 {
        let mut seen = stats(now, 0.5, 20);
        let sent = TrafficStats { packets: now * 5_000, bytes: now * 5_000_000 };
        seen.express = ExpressStats {
            on: true,
            taken_ms: now * 1_000,
            layers: 2,
            routes: 9,
            sent: [("video".to_owned(), sent)].into(),
            outcomes: [("device_refused".to_owned(), now * 3), ("mixed".to_owned(), now)].into(),
            latency_recent_ns: Distribution {
                count: 4,
                p50: 900,
                p99: 7_000,
                ..Default::default()
            },
            ..ExpressStats::default()
        };
        core.handle_stats(&seen);
        core.handle_host(s(now), host(now, [10, 40]));
    }
    let router = core.poll_report().unwrap().router.unwrap();
    assert_eq!(router.kinds.video.sent.packets_per_s, 5_700);
    assert_eq!(router.workers[0].sent.packets_per_s, 700);
    let express = router.express.unwrap();
    assert_eq!((express.layers, express.routes, express.lost_per_s), (2, 9, 3));
    assert_eq!((express.sent.packets_per_s, express.sent.bits_per_s), (5_000, 40_000_000));
    assert_eq!((express.latency.p50_ns, express.latency.p99_ns), (900, 7_000));
    core.handle_stats(&stats(4, 0.5, 20));
    core.handle_host(s(4), host(4, [10, 40]));
    assert_eq!(core.poll_report().unwrap().router.unwrap().express, None);
}

#[test]
fn says_nothing_before_it_knows_and_counts_its_reports_from_one() {
    let mut core = Core::new(settings());
    assert_eq!(core.poll_report(), None);
    core.handle_host(s(1), host(1, [0, 0]));
    assert_eq!(core.poll_report(), None);
    core.handle_host(s(2), host(2, [0, 0]));
    let report = core.poll_report().unwrap();
    assert_eq!((report.sequence, report.state, report.router), (1, State::Starting, None));
}

#[test]
fn counts_that_were_looked_at_twice_keep_their_rate() {
    let mut scene = Scene::new();
    scene.pass(3, 0.5, 0);
    scene.core.handle_stats(&stats(3, 0.5, 0));
    let report = scene.core.poll_report().unwrap();
    assert_eq!(report.router.unwrap().workers[0].sent.packets_per_s, 700);
}

#[test]
fn a_daemon_found_running_is_not_judged_by_all_it_ever_did() {
    let mut core = Core::new(settings());
    core.handle_host(s(1), host(1, [0, 0]));
    core.handle_host(s(2), host(2, [0, 0]));
    let sent =
        |core: &mut Core| core.poll_report().unwrap().router.unwrap().workers[0].sent.packets_per_s;
    core.handle_stats(&stats(100, 0.5, 0));
    assert_eq!(sent(&mut core), 0);
    core.handle_stats(&stats(101, 0.5, 0));
    assert_eq!(sent(&mut core), 700);
}

#[test]
fn stress_is_the_fullest_resource_and_names_another_only_when_that_is_clearly_fuller() {
    let mut scene = Scene::new();
    // Worker 0.5/0.8, core 0.4/0.9, memory 0.25/0.9, network 0.08/0.8, links 0.09/0.9.
    let stress = scene.pass(5, 0.5, 0).stress;
    assert_eq!((stress.resource.as_str(), stress.level), ("worker", Level::Normal));
    assert!((stress.value - 0.625).abs() < 1e-9, "{}", stress.value);
    assert_eq!(stress.resources.len(), 5);
    let stress = scene.pass(20, 0.34, 0).stress;
    assert!((stress.value - 0.444).abs() < 0.01, "{}", stress.value);
    assert_eq!(stress.resource, "worker", "the core's 0.444 is not clearly more than 0.425");
    let stress = scene.pass(20, 0.1, 0).stress;
    assert_eq!(stress.resource, "core");
}

#[test]
fn stress_follows_within_seconds_and_its_level_has_hysteresis() {
    let mut scene = Scene::new();
    scene.pass(5, 0.1, 0);
    let first = scene.pass(1, 1.0, 0).stress;
    assert!(first.value < 1.0, "one second alone is a spike: {}", first.value);
    assert_eq!(scene.pass(8, 1.0, 0).stress.level, Level::Full);
    let mut at = |busy| scene.pass(20, busy, 0).stress.level;
    assert_eq!(at(0.75), Level::Full, "0.94");
    assert_eq!(at(0.70), Level::High, "0.88");
    assert_eq!(at(0.58), Level::High, "0.73");
    assert_eq!(at(0.54), Level::Normal, "0.68");
    assert_eq!(at(0.62), Level::Normal, "0.78");
    assert_eq!(at(0.66), Level::High, "0.83");
}

#[test]
fn a_crossing_and_a_change_of_state_are_urgent_once() {
    let mut scene = Scene::new();
    scene.pass(5, 0.1, 0);
    assert!(!scene.core.is_urgent());
    scene.core.handle_health(s(5), Health::Gone("gone".to_owned()));
    assert!(scene.core.is_urgent());
    scene.core.poll_report();
    assert!(!scene.core.is_urgent());
    scene.now = 5;
    scene.pass(1, 0.1, 0);
    for now in 7..=20 {
        scene.core.handle_stats(&stats(now, 1.0, 0));
        scene.core.handle_host(s(now), host(now, [10, 40]));
        if scene.core.is_urgent() {
            return assert_eq!(scene.core.poll_report().unwrap().stress.level, Level::High);
        }
        scene.core.poll_report();
    }
    panic!("the crossing was not noticed");
}

#[test]
fn states_tell_what_became_of_the_daemon() {
    let mut scene = Scene::new();
    scene.pass(5, 0.1, 0);
    let gone = || Health::Gone("no daemon answers".to_owned());
    let (state, reason) = scene.tell(gone());
    assert_eq!(state, State::Stopping);
    assert_eq!(reason.unwrap(), "the daemon has ended: no daemon answers");
    assert_eq!(scene.tell(Health::Well).0, State::Stopping, "until it says what it is");
    assert_eq!(scene.pass(1, 0.1, 0).state, State::Serving);
    let stalled = Health::Stalled("worker 1 has not finished a turn for 2 s".to_owned());
    assert_eq!(scene.tell(stalled).0, State::Stalled);
    let silent = scene.tell(Health::Silent("nothing came".to_owned()));
    assert_eq!(silent.0, State::Stalled);
    assert_eq!(scene.core.poll_report().unwrap().router, None);
    assert_eq!(scene.pass(2, 0.1, 0).state, State::Stalled, "not at once");
    assert_eq!(scene.pass(1, 0.1, 0).state, State::Serving);

    let ends = Stats { draining_s: Some(9), stopping: true, ..stats(9, 0.1, 0) };
    scene.core.handle_stats(&ends);
    assert_eq!(scene.tell(Health::Well).0, State::Stopping);
    scene.core.handle_stats(&Stats { stopping: false, drain_order: Some(4), ..ends });
    let report = scene.core.poll_report().unwrap();
    assert_eq!(report.reason.as_deref(), Some("draining: 9 s are left"));
    assert_eq!(report.router.unwrap().drain.unwrap().order, Some(4));
}

#[test]
fn headroom_is_an_estimate_until_a_participants_cost_can_be_measured() {
    let mut scene = Scene::new();
    let idle = scene.pass(10, 0.02, 0).headroom;
    assert_eq!((idle.stress_per_participant, idle.measured), (0.01, false));
    // 20 participants make the worker 0.4 busy: 0.475 of stress more than idle, 0.02375 each.
    let measured = scene.pass(60, 0.4, 20).headroom;
    assert!(measured.measured);
    let cost = measured.stress_per_participant;
    assert!((cost - 0.02375).abs() < 0.0005, "{cost}");
    assert_eq!(measured.participants, 21, "half of it is used");
    // Whoever just came has no media yet, and costs nothing only for now.
    let cost = scene.pass(4, 0.4, 40).headroom.stress_per_participant;
    assert!((cost - 0.02375).abs() < 0.0005, "{cost}");
    assert_eq!(scene.pass(60, 1.0, 50).headroom.participants, 0);
}

#[test]
fn what_two_recorded_samples_of_a_kernel_say_is_sane() {
    let sample = |grown: u64| HostSample {
        cores: proc::core_times(include_str!("../../tests/proc/stat"))
            .unwrap()
            .into_iter()
            .map(|(core, it)| (core, CoreTimes { total: it.total + grown, ..it }))
            .collect(),
        softnet: proc::softnet(include_str!("../../tests/proc/softnet_stat")).unwrap(),
        udp: proc::udp_errors(include_str!("../../tests/proc/snmp")).unwrap(),
        memory: proc::memory(include_str!("../../tests/proc/meminfo")).unwrap(),
        ..HostSample::default()
    };
    let mut core = Core::new(settings());
    core.handle_host(s(1), sample(0));
    core.handle_host(s(2), sample(100));
    let report = core.poll_report().unwrap();
    assert_eq!((report.host.cores, report.host.busy), (2, 1.0));
    assert_eq!(report.host.drops, wire::load::HostDrops::default());
}

fn any_counts() -> impl Strategy<Value = HostSample> {
    let core = any::<(u64, u64, u64, u64)>().prop_map(|(total, idle, softirq, steal)| CoreTimes {
        total,
        idle,
        softirq,
        steal,
    });
    let interface = any::<(u64, u64, u64, Option<u64>)>().prop_map(|(a, b, drops, speed)| {
        let counts = InterfaceCounts {
            name: "eth0".to_owned(),
            bytes_in: a,
            packets_in: b,
            bytes_out: b,
            packets_out: a,
            drops,
        };
        InterfaceSample { counts, speed_bits_per_s: speed }
    });
    (prop::collection::btree_map(0..4_u32, core, 0..4), any::<[u64; 7]>(), interface).prop_map(
        |(cores, counts, interface)| HostSample {
            cores,
            softnet: Softnet { dropped: counts[0], squeezed: counts[1] },
            udp: UdpErrors { receive_buffer: counts[2], send_buffer: counts[3] },
            media_port_drops: counts[4],
            memory: Memory { total_bytes: counts[5], available_bytes: counts[6] },
            interfaces: vec![interface],
            pressure: None,
        },
    )
}

fn any_stats() -> impl Strategy<Value = Stats> {
    let traffic = any::<(u64, u64)>().prop_map(|(packets, bytes)| TrafficStats { packets, bytes });
    (any::<[u64; 8]>(), traffic, any::<f64>(), any::<Option<u32>>(), any::<bool>()).prop_map(
        |(counts, traffic, busy, core, stopping)| Stats {
            epoch_ms: counts[0] % 2,
            participants: counts[1],
            draining_s: stopping.then_some(counts[2]),
            stopping,
            tables: [("links".to_owned(), TableStats { used: counts[3], size: counts[4] })].into(),
            workers: vec![WorkerStats {
                core,
                busy,
                taken_ms: counts[5] % 10_000,
                received: [("audio".to_owned(), traffic)].into(),
                kernel_drops: counts[0],
                drops: [("a".to_owned(), counts[6]), ("b".to_owned(), counts[7])].into(),
                ..WorkerStats::default()
            }],
            ..Stats::default()
        },
    )
}

proptest! {
    /// Whatever is counted, and whenever: a controller takes the report.
    #[test]
    fn every_report_is_one_that_is_taken(
        samples in prop::collection::vec((any_counts(), any_stats(), 0..5_000_u64), 2..8),
    ) {
        let mut core = Core::new(settings());
        let mut at = Duration::ZERO;
        for (host, stats, passed_ms) in samples {
            at += Duration::from_millis(passed_ms);
            core.handle_stats(&stats);
            core.handle_host(at, host);
            if let Some(report) = core.poll_report() {
                let bytes = serde_json::to_vec(&report).unwrap();
                prop_assert!(Report::parse(&bytes).is_ok(), "{:?}", Report::parse(&bytes));
            }
        }
    }
}
