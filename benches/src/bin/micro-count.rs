//! One micro-bench a fixed number of times, for callgrind to count its instructions: `benches/compare` runs it, and
//! has callgrind collect within [`counted_iterations`] only.
//!
//! ```text
//! micro-count                      # the names
//! micro-count NAME ITERATIONS
//! ```
#![forbid(unsafe_code)]

use benches::micro::{self, Run};
use std::hint::black_box;
use std::process::ExitCode;

/// Before anything is counted: tables are touched, branches to set things up taken.
const WARM_UP: u32 = 8;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let Some(name) = arguments.first() else {
        for bench in micro::all().iter().filter(|bench| bench.counted) {
            println!("{}", bench.name);
        }
        return ExitCode::SUCCESS;
    };
    let iterations = arguments.get(1).and_then(|iterations| iterations.parse().ok());
    let bench = micro::all().into_iter().find(|bench| bench.name == *name);
    let (Some(iterations), Some(bench)) = (iterations, bench) else {
        eprintln!("usage: micro-count [NAME ITERATIONS]; without arguments it prints the names");
        return ExitCode::from(64);
    };
    let mut run = bench.make();
    (0..WARM_UP).for_each(|_| run());
    counted_iterations(black_box(&mut run), black_box(iterations));
    ExitCode::SUCCESS
}

/// Known to callgrind by its name.
#[inline(never)]
fn counted_iterations(run: &mut Run, iterations: u32) {
    for _ in 0..iterations {
        run();
    }
}
