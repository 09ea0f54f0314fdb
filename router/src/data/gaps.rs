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
    /// How many of both are a layer's, by its index.
    of_layer: Box<[u64]>,
}

impl Gaps {
    /// Takes room for `MISSING_MAX` packets of this many layers.
    pub(super) fn new(layers: u32) -> Self {
        Self {
            of_layer: vec![0; layers as usize].into_boxed_slice(),
            fresh: VecDeque::with_capacity(limits::MISSING_MAX),
            asked: VecDeque::with_capacity(limits::MISSING_MAX),
        }
    }

    /// Notes a gap. One that is too long, or for which there is no room, is not asked for; nor is a layer's that has as
    /// much open as the longest: one that leaps on and on must not take the room of others.
    pub(super) fn note(&mut self, layer: LayerId, missing: Range<u64>, now: Stamp) {
        let count = missing.end.saturating_sub(missing.start);
        let room = (limits::MISSING_MAX - self.fresh.len() - self.asked.len()) as u64;
        let open = &mut self.of_layer[layer.index as usize];
        if count > room || count > limits::NACK_GAP_MAX - *open {
            return;
        }
        *open += count;
        let due = now.plus(limits::NACK_DELAY);
        self.fresh.extend(missing.map(|extended| Missing { layer, extended, tries: 0, due }));
    }

    /// The next packet whose time has come.
    pub(super) fn pop(&mut self, now: Stamp) -> Option<Missing> {
        let missing = pop_due(&mut self.fresh, now).or_else(|| pop_due(&mut self.asked, now))?;
        self.of_layer[missing.layer.index as usize] -= 1;
        Some(missing)
    }

    /// The packet was asked for: comes back unless it was asked for often enough.
    pub(super) fn ask_again(&mut self, missing: Missing, now: Stamp) {
        let tries = missing.tries + 1;
        if tries < limits::NACK_TRIES_MAX && self.asked.len() < limits::MISSING_MAX {
            self.of_layer[missing.layer.index as usize] += 1;
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
        let mut gaps = Gaps::new(8);
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
        let mut gaps = Gaps::new(8);
        gaps.note(LAYER, 0..limits::NACK_GAP_MAX + 1, Stamp(0));
        assert_eq!(gaps.next_due(), None);
    }

    #[test]
    fn a_layer_that_leaps_on_and_on_leaves_room_for_others() {
        let mut gaps = Gaps::new(8);
        for leap in 0..1_000 {
            gaps.note(LAYER, leap * 512..leap * 512 + 511, Stamp(leap));
        }
        assert_eq!(gaps.len(), 511);
        let other = LayerId { index: 4, ..LAYER };
        gaps.note(other, 5..7, Stamp(1_000));
        let mut asked = Vec::new();
        while let Some(missing) = gaps.pop(Stamp(u64::MAX)) {
            asked.extend((missing.layer == other).then_some(missing.extended));
        }
        assert_eq!(asked, [5, 6]);
        gaps.note(LAYER, 0..512, Stamp(0));
        assert_eq!(gaps.len(), 512, "what is settled counts no more");
    }

    #[test]
    fn the_queues_never_grow_past_their_limit() {
        let mut gaps = Gaps::new(100);
        for index in 0..100 {
            gaps.note(LayerId { index, ..LAYER }, 0..limits::NACK_GAP_MAX, Stamp(0));
        }
        let mut popped = 0;
        while gaps.pop(Stamp(u64::MAX)).is_some() {
            popped += 1;
        }
        assert_eq!(popped, limits::MISSING_MAX);
    }
}
