//! A timer wheel for things with a dense index: each is on it once or not at all, and nothing is ever taken off
//! early. Whoever is popped looks at its own state and goes on again if it is not due after all.
//!
//! ```text
//!   tick:   t      t+1     t+2           …      t+511
//!         ┌──────┬──────┬──────┬──────┬──────┬──────┐
//!  heads  │  7   │  —   │  3   │  …   │      │  —   │     `occupied` has a bit per slot
//!         └──┬───┴──────┴──┬───┴──────┴──────┴──────┘
//!            ▼             ▼
//!            12 ─▶ 4       9                              chained through `next`
//! ```

use super::clock::{Stamp, nanos};
use std::time::Duration;

const SLOTS: usize = 512;
/// How many ticks after the oldest one there are slots for.
const AHEAD_MAX: u64 = SLOTS as u64 - 1;
const NONE: u32 = u32::MAX;
/// In `next` of what is not on the wheel.
const AWAY: u32 = u32::MAX - 1;

/// The wheel.
pub(super) struct Wheel {
    tick_ns: u64,
    /// The oldest tick that may hold something.
    current: u64,
    len: usize,
    heads: [u32; SLOTS],
    occupied: [u64; SLOTS / 64],
    next: Box<[u32]>,
}

impl Wheel {
    /// For `size` indexes and delays below 512 ticks; a longer one pops early.
    pub(super) fn new(size: u32, tick: Duration) -> Self {
        Self {
            tick_ns: nanos(tick),
            current: 0,
            len: 0,
            heads: [NONE; SLOTS],
            occupied: [0; SLOTS / 64],
            next: vec![AWAY; size as usize].into_boxed_slice(),
        }
    }

    /// Pops `index` at `due` or up to a tick later. Nothing new when it is on the wheel already.
    pub(super) fn insert(&mut self, index: u32, due: Stamp) {
        if self.next[index as usize] != AWAY {
            return;
        }
        let tick = due.0.div_ceil(self.tick_ns);
        if self.len == 0 {
            self.current = self.current.max(tick.saturating_sub(AHEAD_MAX));
        }
        let slot = slot_of(tick.clamp(self.current, self.current + AHEAD_MAX));
        self.next[index as usize] = self.heads[slot];
        self.heads[slot] = index;
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
    }

    /// The next index that is due.
    pub(super) fn pop(&mut self, now: Stamp) -> Option<u32> {
        let tick = self.first_tick()?;
        if tick * self.tick_ns > now.0 {
            return None;
        }
        self.current = tick;
        let slot = slot_of(tick);
        let index = self.heads[slot];
        self.heads[slot] = std::mem::replace(&mut self.next[index as usize], AWAY);
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
        self.len -= 1;
        Some(index)
    }

    /// When something pops next.
    pub(super) fn next_due(&self) -> Option<Stamp> {
        self.first_tick().map(|tick| Stamp(tick * self.tick_ns))
    }

    /// The first tick from `current` on whose slot is occupied.
    fn first_tick(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let start = slot_of(self.current);
        let words = self.occupied.len();
        // The first word is looked at twice: from `start` on, and at the end what lies before it.
        (0..=words).find_map(|step| {
            let word = (start / 64 + step) % words;
            let mask = match step {
                0 => u64::MAX << (start % 64),
                _ if step == words => !(u64::MAX << (start % 64)),
                _ => u64::MAX,
            };
            let bits = self.occupied[word] & mask;
            let slot = (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize)?;
            Some(self.current + ((slot + SLOTS - start) % SLOTS) as u64)
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below SLOTS")]
fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn nothing_pops_before_it_is_due_and_nothing_twice() {
        let mut wheel = Wheel::new(4, Duration::from_millis(10));
        wheel.insert(2, Stamp(25_000_000));
        wheel.insert(2, Stamp(90_000_000));
        assert_eq!(wheel.pop(Stamp(24_999_999)), None);
        assert_eq!(wheel.next_due(), Some(Stamp(30_000_000)));
        assert_eq!(wheel.pop(Stamp(30_000_000)), Some(2));
        assert_eq!(wheel.pop(Stamp(u64::MAX / 2)), None);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn after_a_long_rest_the_wheel_starts_where_time_is() {
        let mut wheel = Wheel::new(4, Duration::from_millis(1));
        wheel.insert(0, Stamp(3_600_000_000_000));
        wheel.insert(1, Stamp(3_599_800_000_000));
        assert_eq!(wheel.pop(Stamp(3_599_900_000_000)), Some(1));
        assert_eq!(wheel.pop(Stamp(3_599_900_000_000)), None);
        assert_eq!(wheel.pop(Stamp(3_600_000_000_000)), Some(0));
    }

    proptest! {
        #[test]
        fn pops_everything_within_a_tick_of_its_time(
            steps in prop::collection::vec((0u32..32, 0u64..500, 0u64..40), 1..200),
        ) {
            let mut wheel = Wheel::new(32, Duration::from_nanos(10));
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 0;
            for (index, delay, pause) in steps {
                wheel.insert(index, Stamp(now + delay));
                model.entry(index).or_insert(now + delay);
                now += pause;
                while let Some(popped) = wheel.pop(Stamp(now)) {
                    let due = model.remove(&popped);
                    prop_assert!(due.is_some_and(|due| due <= now), "{popped} at {now}, due {due:?}");
                }
                prop_assert!(model.values().all(|due| due + 10 > now), "late at {now}: {model:?}");
                prop_assert_eq!(model.is_empty(), wheel.next_due().is_none());
            }
        }
    }
}
