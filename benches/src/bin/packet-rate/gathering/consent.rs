//! Consent, kept up for everybody: each link is checked at times of its own, to the microsecond.
//!
//! On a thread, not on the runtime, whose timers know milliseconds: strangers would check in chorus.

use crate::member::Link;
use nix::sys::prctl;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two checks of one link, by and large: each time 0.8 to 1.2 of it (RFC 7675 §5.1).
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps consent up until dropped. Its thread has the table of descriptors of whoever started it.
pub(super) struct Keeper {
    /// There until dropped.
    links: Option<Sender<Link>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start() -> Self {
        let (links, kept) = channel();
        let thread = std::thread::spawn(move || keep(&kept));
        Self { links: Some(links), thread: Some(thread) }
    }

    pub(super) fn keep(&self, link: Link) {
        let links = self.links.as_ref().expect("there until dropped");
        links.send(link).expect("the thread ends after the sender");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.links = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(links: &Receiver<Link>) {
    let _ = prctl::set_timerslack(1);
    // One seed: every contender's people keep the same times.
    let mut random = StdRng::seed_from_u64(7675);
    let mut kept = Vec::<Link>::new();
    let mut due = BinaryHeap::<Reverse<(Instant, usize)>>::new();
    loop {
        let next = due
            .peek()
            .map_or(INTERVAL, |Reverse((at, _))| at.saturating_duration_since(Instant::now()));
        match links.recv_timeout(next) {
            Ok(link) => {
                due.push(Reverse((Instant::now() + INTERVAL.mul_f64(random.random()), kept.len())));
                kept.push(link);
            }
            Err(RecvTimeoutError::Timeout) => {
                let Some(Reverse((at, index))) = due.pop() else { continue };
                let _ = kept[index].check();
                due.push(Reverse((at + INTERVAL.mul_f64(random.random_range(0.8..1.2)), index)));
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
