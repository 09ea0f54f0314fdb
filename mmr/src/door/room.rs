//! Room at a worker for what one read can bring.
//!
//! A peer that speaks faster than its worker routes is slowed by TCP: its next bytes wait, with all
//! others for that worker, in the order they came. Without this the inbox would be full of the
//! loudest peer's packets, and the others' dropped. A worker that is stuck is not waited for: then
//! packets are dropped, as live media should be.

use super::limits::{FRAMES_PER_READ_MAX, ROOM_PAUSE, WORKER_STUCK};
use crate::exchange::Exchange;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// Who may deliver next, for each worker.
pub(super) struct Room {
    /// A fair lock: first come, first served.
    turns: Vec<Mutex<()>>,
}

impl Room {
    pub(super) fn new(workers: usize) -> Self {
        Self { turns: (0..workers).map(|_| Mutex::default()).collect() }
    }

    /// Waits until `worker` has room for any one read, or the wait is `pointless`; it is the
    /// caller's until what is answered is dropped.
    pub(super) async fn wait(
        &self,
        exchange: &Exchange,
        worker: usize,
        pointless: impl Fn() -> bool,
    ) -> MutexGuard<'_, ()> {
        let turn = self.turns[worker].lock().await;
        while !has_room(exchange, worker) && !is_stuck(exchange, worker) && !pointless() {
            tokio::time::sleep(ROOM_PAUSE).await;
        }
        turn
    }
}

fn has_room(exchange: &Exchange, worker: usize) -> bool {
    let inbox = &exchange.workers[worker].inbox;
    inbox.capacity() - inbox.len() >= FRAMES_PER_READ_MAX
        && exchange.door.free.len() >= FRAMES_PER_READ_MAX
}

fn is_stuck(exchange: &Exchange, worker: usize) -> bool {
    let beat = Duration::from_millis(exchange.workers[worker].heartbeat_ms.load(Ordering::Relaxed));
    Instant::now().saturating_duration_since(exchange.started + beat) > WORKER_STUCK
}
