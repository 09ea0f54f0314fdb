//! What routing costs: one audio packet, or a train of eight video packets, to 1, 50 and 1000 destinations; and one
//! retransmission. In: bytes that arrived. Out: transmits in the outbox; the kernel is not in it.
#![allow(missing_docs)] // criterion's macros make a public function without any.

use benches::{Scene, Train};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use wire::Kind;

fn route(criterion: &mut Criterion, name: &str, kind: Kind, packets: usize, len: usize) {
    let mut group = criterion.benchmark_group(name);
    for destinations in [1, 50, 1_000] {
        let mut scene = Scene::new(kind, destinations);
        let mut train = Train::new(kind, packets, len);
        group.throughput(Throughput::Elements(u64::from(destinations) * packets as u64));
        group.bench_function(BenchmarkId::from_parameter(destinations), |bencher| {
            bencher.iter(|| {
                train.renumber();
                let transmits = scene.route(black_box(&train.bytes), train.segment);
                assert_eq!(transmits, destinations as usize, "one transmit per destination");
            });
        });
    }
    group.finish();
}

fn audio_packet(criterion: &mut Criterion) {
    route(criterion, "route/audio-packet", Kind::Audio, 1, 120);
}

fn video_train(criterion: &mut Criterion) {
    route(criterion, "route/video-train-of-8", Kind::Video, 8, 1_200);
}

/// A NACK comes in protected, a packet goes out of the history. Each NACK is another one, as replays are dropped: so
/// its making is measured too, and subtracted by `make-nack`.
fn repair(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("repair");
    let mut scene = Scene::new(Kind::Video, 50);
    group.bench_function("make-nack", |bencher| bencher.iter(|| scene.nack(0)));
    let mut train = Train::new(Kind::Video, 8, 1_200);
    let mut seq = 0u16;
    group.bench_function("nack-and-packet", |bencher| {
        bencher.iter(|| {
            // New media moves time on, so that the link's repair budget lasts.
            train.renumber();
            scene.route(&train.bytes, train.segment);
            let nack = scene.nack(seq);
            seq = seq.wrapping_add(8);
            assert_eq!(scene.repair(black_box(&nack)), 1);
        });
    });
    group.finish();
}

criterion_group!(benches, audio_packet, video_train, repair);
criterion_main!(benches);
