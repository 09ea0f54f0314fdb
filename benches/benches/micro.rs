//! The time each micro-bench takes, by criterion.
#![allow(missing_docs)] // criterion's macros make a public function without any.

use benches::micro;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Benches that differ in their last part only, a size, are a group: criterion plots them together.
fn all(criterion: &mut Criterion) {
    for bench in micro::all() {
        let (group, what) = bench.name.rsplit_once('/').expect("a name is group/what");
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(bench.elements));
        // Made only when it is asked for: some take long.
        let mut made = None;
        group.bench_function(BenchmarkId::from_parameter(what), |bencher| {
            let run = made.get_or_insert_with(|| bench.make());
            bencher.iter(run);
        });
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
