//! Packets a publisher is asked for again: which, how often yet, and when next.
//!
//! Two queues, each with one delay, so that each is in order of time: gaps not asked for yet (they may be mere
//! reordering), and those asked for whose answer may still come.

use super::clock::Stamp;
use crate::{LayerId, limits};
use std::collections::VecDeque;
use std::ops::Range;

/// One packet that has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) layer: LayerId,
    /// Extended sequence number.
    pub(super) extended: u64,
    tries: u8,
    due: Stamp,
}

/// The queues.
pub(super) struct Gaps {
    fresh: VecDeque<Missing>,
    asked: VecDeque<Missing>,
}

impl Gaps {
    /// Takes room for `MISSING_MAX` packets.
    pub(super) fn new() -> Self {
        Self {
            fresh: VecDeque::with_capacity(limits::MISSING_MAX),
            asked: VecDeque::with_capacity(limits::MISSING_MAX),
        }
    }

    /// Notes a gap. One that is too long, or for which there is no room, is not asked for.
    pub(super) fn note(&mut self, layer: LayerId, missing: Range<u64>, now: Stamp) {
        let count = missing.end.saturating_sub(missing.start);
        let room = (limits::MISSING_MAX - self.fresh.len() - self.asked.len()) as u64;
        if count > limits::NACK_GAP_MAX.min(room) {
            return;
        }
        let due = now.plus(limits::NACK_DELAY);
        self.fresh.extend(missing.map(|extended| Missing { layer, extended, tries: 0, due }));
    }

    /// The next packet whose time has come.
    pub(super) fn pop(&mut self, now: Stamp) -> Option<Missing> {
        pop_due(&mut self.fresh, now).or_else(|| pop_due(&mut self.asked, now))
    }

    /// The packet was asked for: comes back unless it was asked for often enough.
    pub(super) fn ask_again(&mut self, missing: Missing, now: Stamp) {
        let tries = missing.tries + 1;
        if tries < limits::NACK_TRIES_MAX && self.asked.len() < limits::MISSING_MAX {
            self.asked.push_back(Missing { tries, due: now.plus(limits::NACK_RETRY), ..missing });
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.asked.len()
    }

    /// When `pop` gives something next.
    pub(super) fn next_due(&self) -> Option<Stamp> {
        let due = |queue: &VecDeque<Missing>| queue.front().map(|missing| missing.due);
        match (due(&self.fresh), due(&self.asked)) {
            (Some(fresh), Some(asked)) => Some(fresh.min(asked)),
            (fresh, asked) => fresh.or(asked),
        }
    }
}

fn pop_due(queue: &mut VecDeque<Missing>, now: Stamp) -> Option<Missing> {
    queue.pop_front_if(|missing| missing.due <= now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A test that unwraps what is not there fails, as it should.
mod tests {
    use super::*;
    use std::time::Duration;

    const LAYER: LayerId = LayerId { index: 3, generation: 1 };

    #[test]
    fn a_packet_that_never_comes_is_asked_for_ten_times() {
        let mut gaps = Gaps::new();
        gaps.note(LAYER, 5..6, Stamp(0));
        let mut asked_at = Vec::new();
        while let Some(due) = gaps.next_due() {
            let missing = gaps.pop(due).unwrap();
            asked_at.push(due.since(Stamp(0)));
            gaps.ask_again(missing, due);
        }
        let at = |n: u32| limits::NACK_DELAY + limits::NACK_RETRY * n;
        assert_eq!(asked_at, (0..10).map(at).collect::<Vec<Duration>>());
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let mut gaps = Gaps::new();
        gaps.note(LAYER, 0..limits::NACK_GAP_MAX + 1, Stamp(0));
        assert_eq!(gaps.next_due(), None);
    }

    #[test]
    fn the_queues_never_grow_past_their_limit() {
        let mut gaps = Gaps::new();
        for round in 0..100 {
            gaps.note(LAYER, round * 512..(round + 1) * 512, Stamp(0));
        }
        let mut popped = 0;
        while gaps.pop(Stamp(u64::MAX)).is_some() {
            popped += 1;
        }
        assert_eq!(popped, limits::MISSING_MAX);
    }
}
