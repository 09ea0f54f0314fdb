//! The seeded simulation: several workers' `Router`s and one `Meetings` against clients that speak the real formats
//! over links that lose, reorder and duplicate, and a liar who spoofs, replays, floods and sends garbage.
//!
//! After every step (one worker's turn, one input of control) it checks:
//!
//! | property | where |
//! | --- | --- |
//! | conservation: every packet in is accounted for on every route | `worker` |
//! | isolation: nothing leaves its meeting, nothing goes where nobody authenticated | `truth` |
//! | bounds: queues, tables and retransmissions | `worker` |
//! | delivery: once the network is calm, every subscriber gets every packet | `world/calm` |
//! | rest: with all links gone everything is empty | `world/calm` |
//!
//! A failing seed names itself; `SIMULATION_SEED=123 cargo test -p router --test simulation` plays it alone.
//! `SIMULATION_SEEDS=5000` plays more, `SIMULATION_FIRST=1000` begins elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "fields are cut out of counters on purpose")]
#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod client;
mod liar;
mod schedule;
mod tables;
mod truth;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Seeds of an ordinary run.
const SEEDS: u64 = 1_000;

#[test]
fn a_thousand_meetings_keep_every_promise() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let story = world::play(seed);
        println!("seed {seed}: {story}");
        return;
    }
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let end = first + number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let total = Mutex::new(world::Story::default());
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| world::play(seed))) {
                        Ok(story) => lock(&total).add(&story),
                        Err(_) => lock(&failed).push(seed),
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    let total = total.into_inner().unwrap();
    println!("{total}");
    if let Some(seed) = failed.first() {
        panic!(
            "{} seeds failed: {failed:?}; replay one alone: \
             SIMULATION_SEED={seed} cargo test -p router --test simulation",
            failed.len(),
        );
    }
    total.assert_everything_happened();
}

/// A number from the environment; panics on anything else.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
