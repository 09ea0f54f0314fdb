//! A whole zone in networks of its own: controllers on etcd, MMRs with their agents, and participants, while hosts die.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod death;
mod etcd;
mod meeting;
mod silence;
mod site;
mod soak;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One zone at a time: what is measured here is time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until this is so; how long it took.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}
