//! Chunks of the kernel's table of runs: which are free, and which were in use a moment ago. A packet that found a run
//! reads it to its end, so its chunks rest before they are given away again.

use super::limits::GRACE;
use std::collections::VecDeque;
use std::time::Instant;

/// The chunks.
pub(super) struct Chunks {
    free: Vec<u32>,
    resting: VecDeque<(Instant, Vec<u32>)>,
}

impl Chunks {
    /// All of so many are free.
    pub(super) fn new(count: u32) -> Self {
        Self { free: (0..count).rev().collect(), resting: VecDeque::new() }
    }

    /// So many, if there are.
    pub(super) fn take(&mut self, count: usize, now: Instant) -> Option<Vec<u32>> {
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            let rested = self.resting.pop_front();
            self.free.extend(rested.into_iter().flat_map(|(_, run)| run));
        }
        let left = self.free.len().checked_sub(count)?;
        Some(self.free.split_off(left))
    }

    /// A run that no layer's entry names any more.
    pub(super) fn give_back(&mut self, run: Vec<u32>, now: Instant) {
        self.resting.push_back((now + GRACE, run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_chunk_rests_before_it_is_given_away_again() {
        let now = Instant::now();
        let mut chunks = Chunks::new(3);
        let run = chunks.take(2, now).expect("three are free");
        chunks.give_back(run, now);
        assert_eq!(chunks.take(2, now + GRACE - Duration::from_millis(1)), None);
        assert_eq!(chunks.take(3, now + GRACE).map(|run| run.len()), Some(3));
    }
}
