//! Packets of one layer that are missing: since when, how often asked for, when given up.

use crate::limits;
use crate::send::low_16;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};
use wire::Seq;

/// Packets given up that are remembered, to tell late ones from duplicates.
const GIVEN_UP_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Gaps {
    missing: BTreeMap<u64, Gap>,
    given_up: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    since: Instant,
    asked: u32,
    ask_at: Instant,
    origin: Origin,
}

/// How a gap came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A later packet came.
    Overtaken,
    /// From before the first packet heard: if it never comes, we came later than it.
    BeforeUs,
    /// A sender report counts it.
    Reported,
}

/// What [`Gaps::give_up`] took out.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp {
    /// Packets that should have come.
    pub(super) lost: u64,
}

impl Gaps {
    /// Notes that these are missing.
    pub(super) fn open(&mut self, now: Instant, indices: Range<u64>, origin: Origin) {
        let reported = origin == Origin::Reported;
        let delay = if reported { limits::TAIL_NACK_DELAY } else { limits::NACK_DELAY };
        for index in indices {
            let ask_at = now + delay;
            self.missing.insert(index, Gap { since: now, asked: 0, ask_at, origin });
        }
    }

    /// One came: whether it had been asked for; `None` when it was not missing.
    pub(super) fn fill(&mut self, index: u64) -> Option<bool> {
        self.missing.remove(&index).map(|gap| gap.asked > 0)
    }

    /// One came after it was given up: true once.
    pub(super) fn forget(&mut self, index: u64) -> bool {
        let at = self.given_up.iter().position(|given_up| *given_up == index);
        at.is_some_and(|at| self.given_up.remove(at).is_some())
    }

    /// The first one still waited for.
    pub(super) fn first(&self) -> Option<u64> {
        self.missing.keys().next().copied()
    }

    /// Takes out all; how many should have come.
    pub(super) fn clear(&mut self) -> u64 {
        let lost = self.missing.values().filter(|gap| gap.origin != Origin::BeforeUs).count();
        self.missing.clear();
        lost as u64
    }

    /// Takes out what has been missing for too long; `None` when nothing has.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<GivenUp> {
        let over = |gap: &Gap| now.saturating_duration_since(gap.since) >= limits::REPAIR_DEADLINE;
        let old: Vec<u64> =
            self.missing.iter().filter(|(_, gap)| over(gap)).map(|(index, _)| *index).collect();
        let gaps: Vec<Gap> = old.iter().filter_map(|index| self.missing.remove(index)).collect();
        self.given_up.extend(&old);
        let excess = self.given_up.len().saturating_sub(GIVEN_UP_MAX);
        self.given_up.drain(..excess);
        let lost = gaps.iter().filter(|gap| gap.origin != Origin::BeforeUs).count() as u64;
        (!gaps.is_empty()).then_some(GivenUp { lost })
    }

    /// Ids and masks (RFC 4585 §6.2.1) of those to ask for now, up to one NACK's worth.
    pub(super) fn ask(&mut self, now: Instant, round_trip: Duration) -> Vec<(Seq, u16)> {
        let mut entries: Vec<(u64, u16)> = Vec::new();
        for (&index, gap) in &mut self.missing {
            if gap.ask_at > now || gap.asked >= limits::NACKS_MAX {
                continue;
            }
            let full = entries.len() == limits::NACK_ENTRIES_MAX;
            match entries.last_mut() {
                Some((pid, mask)) if index - *pid <= 16 => *mask |= 1 << (index - *pid - 1),
                _ if full => break,
                _ => entries.push((index, 0)),
            }
            gap.asked += 1;
            gap.ask_at = now + limits::NACK_INTERVAL + round_trip;
        }
        entries.into_iter().map(|(pid, mask)| (Seq(low_16(pid)), mask)).collect()
    }

    /// When something is due: asking or giving up.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = |gap: &Gap| {
            let over = gap.since + limits::REPAIR_DEADLINE;
            if gap.asked < limits::NACKS_MAX { gap.ask_at.min(over) } else { over }
        };
        self.missing.values().map(due).min()
    }
}
