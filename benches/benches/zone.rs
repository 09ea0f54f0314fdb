//! What one placement costs inside a zone controller: `cargo bench -p benches --bench zone`.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use wire::MmrId;
use wire::load::State;
use zone_controller::placement::{Load, Pace, Placement, Rules};

/// MMRs that have just reported, with room without end.
fn zone(mmrs: usize) -> Placement {
    let fast = Pace { per_s: 1_000_000, burst: 1_000_000 };
    let rules = Rules {
        full: f64::INFINITY,
        full_for_meetings: f64::INFINITY,
        stale: Duration::from_secs(1 << 30),
        meeting_pace: fast,
        mmr_pace: fast,
        ..Rules::default()
    };
    let mut zone = Placement::new(rules, 1, Duration::ZERO);
    for at in 0..mmrs {
        zone.report(&id(at), load(at, 1), Duration::ZERO);
    }
    zone
}

fn id(at: usize) -> MmrId {
    MmrId::try_from(format!("mmr-{at}")).expect("a name of the right form")
}

fn load(at: usize, sequence: u64) -> Load {
    Load {
        order: (1, sequence),
        state: State::Serving,
        stress: f64::from(u32::try_from(at % 70).unwrap_or(0)) / 100.0,
        stress_per_participant: 0.001,
        has_address: true,
        links: [0, 0],
        participants: 0,
    }
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("zone");
    for mmrs in [1_000, 10_000] {
        let mut placement = zone(mmrs);
        let mut asked = 0_u64;
        let mut now = Duration::from_secs(1);
        group.bench_function(format!("place-new/{mmrs}"), |bencher| {
            bencher.iter(|| {
                asked += 1;
                now += Duration::from_micros(200);
                black_box(placement.place(&asked.to_string(), None, now))
            });
        });
        let at = id(7);
        group.bench_function(format!("place-staying/{mmrs}"), |bencher| {
            bencher.iter(|| {
                asked += 1;
                now += Duration::from_micros(200);
                black_box(placement.place(&(asked % 1_000).to_string(), Some(&at), now))
            });
        });
        let mut sequence = 1;
        group.bench_function(format!("report/{mmrs}"), |bencher| {
            bencher.iter(|| {
                sequence += 1;
                now += Duration::from_micros(100);
                black_box(placement.report(&at, load(7, sequence), now))
            });
        });
    }
    group.finish();
}

criterion_group!(zone_benches, benches);
criterion_main!(zone_benches);
