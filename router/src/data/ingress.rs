//! What arrives of a layer: which sequence numbers were seen, what is missing, how evenly it comes.

use super::clock::Stamp;
use crate::{DropReason, limits};
use std::ops::Range;
use wire::Seq;

const WORDS: usize = (limits::SEQ_WINDOW / 64) as usize;

/// Reception state of one layer on one worker. Sequence numbers are extended by the rollover counter:
/// `roc << 16 | seq`, as SRTP's packet index is (RFC 3711 §3.3.1).
#[derive(Clone, Debug, Default)]
pub(super) struct Ingress {
    started: bool,
    /// The highest seen, or heard of from another worker while not started.
    highest: u64,
    /// The layer's very first number, until its first packet here; what lies between was lost or heard elsewhere.
    beginning: Option<u64>,
    /// Bit `extended % SEQ_WINDOW` for the last `SEQ_WINDOW` numbers up to `highest`.
    seen: [u64; WORDS],
    /// The number that would confirm a jump (RFC 3550 §A.1, `bad_seq`).
    expected_after_jump: Option<Seq>,
    heard_at: Stamp,
    statistics: Statistics,
}

/// What a report block is made of.
#[derive(Clone, Copy, Debug, Default)]
struct Statistics {
    /// First number counted.
    base: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    transit: u32,
    /// Sixteen times the jitter (RFC 3550 §A.8).
    jitter_16: u32,
}

/// A packet that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Its extended sequence number.
    pub(super) extended: u64,
    /// What lies between the highest so far and this one; empty when nothing is missing.
    pub(super) missing: Range<u64>,
    /// The highest number before this packet, heard here or heard of; 0 for a layer's first.
    pub(super) highest_before: u64,
}

/// How a layer arrives, for a receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reception {
    /// Share lost since the last report, in 1/256.
    pub(super) fraction_lost: u8,
    /// In all, 24 bits.
    pub(super) cumulative_lost: u32,
    /// 32 bits.
    pub(super) extended_seq: u32,
    /// In the media clock.
    pub(super) jitter: u32,
}

impl Ingress {
    /// Of a layer whose publisher, if it keeps to docs/protocol.md, starts at this number.
    pub(super) fn beginning_at(first: u64) -> Self {
        Self { beginning: Some(first), ..Self::default() }
    }

    /// Notes a packet; tells duplicates and what is too old to be told from one.
    pub(super) fn accept(&mut self, seq: Seq, now: Stamp) -> Result<Accepted, DropReason> {
        if !self.started {
            return Ok(self.start(seq, now));
        }
        let distance = seq.distance_from(low(self.highest));
        if distance <= 0 {
            let back = u64::from(distance.unsigned_abs());
            if back < limits::SEQ_WINDOW {
                return self.accept_late(back, now);
            }
        } else if distance.unsigned_abs() <= limits::SEQ_JUMP_MAX {
            return Ok(self.accept_ahead(u64::from(distance.unsigned_abs()), now));
        }
        self.accept_jump(seq, distance > 0, now)
    }

    /// What another worker heard of the layer, or control of its rollovers. Ours is older if it is lower: the next
    /// packet starts afresh from there.
    pub(super) fn hear_of(&mut self, extended: u64) {
        if extended > self.highest {
            *self = Self { highest: extended, ..Self::default() };
        }
    }

    /// The layer is heard by another worker from now on: what comes here next does not follow what came last.
    pub(super) fn rest(&mut self) {
        self.started = false;
    }

    /// Notes when a packet came, against when it was made (RFC 3550 §A.8). `clock_rate` in Hz.
    pub(super) fn note_timing(&mut self, timestamp: u32, clock_rate: u32, now: Stamp) {
        let arrival = u128::from(now.0) * u128::from(clock_rate) / 1_000_000_000;
        #[expect(clippy::cast_possible_truncation, reason = "media time wraps at 32 bits")]
        let transit = (arrival as u32).wrapping_sub(timestamp);
        let statistics = &mut self.statistics;
        if statistics.received > 1 {
            let change = transit.wrapping_sub(statistics.transit).cast_signed().unsigned_abs();
            let jitter = statistics.jitter_16;
            statistics.jitter_16 =
                jitter.saturating_add(change).saturating_sub(jitter.saturating_add(8) >> 4);
        }
        statistics.transit = transit;
    }

    /// Whether a packet has not come yet and may still be taken.
    pub(super) fn is_missing(&self, extended: u64) -> bool {
        self.started
            && extended <= self.highest
            && self.highest - extended < limits::SEQ_WINDOW
            && !self.is_seen(extended)
    }

    /// What the next report block says; `None` when nothing came since the last (RFC 3550 §A.3).
    pub(super) fn report(&mut self) -> Option<Reception> {
        let statistics = &mut self.statistics;
        if !self.started || statistics.received == statistics.received_before {
            return None;
        }
        let expected = self.highest + 1 - statistics.base;
        let lost = expected.saturating_sub(statistics.received);
        let expected_now = expected.saturating_sub(statistics.expected_before);
        let received_now = statistics.received - statistics.received_before;
        let lost_now = expected_now.saturating_sub(received_now);
        statistics.expected_before = expected;
        statistics.received_before = statistics.received;
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0);
        Some(Reception {
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: u32::try_from(lost).unwrap_or(u32::MAX).min(0x007f_ffff),
            extended_seq: truncate(self.highest),
            jitter: statistics.jitter_16 >> 4,
        })
    }

    fn start(&mut self, seq: Seq, now: Stamp) -> Accepted {
        // What another worker heard last: a wrap between there and here is ours to tell.
        let highest_before = self.highest;
        let extended = nearest(highest_before, seq);
        let near =
            |first: &u64| *first <= extended && extended - first <= limits::BEGINNING_GAP_MAX;
        let first = self.beginning.filter(near).unwrap_or(extended);
        self.restart_at(extended, now);
        Accepted { extended, missing: first..extended, highest_before }
    }

    fn restart_at(&mut self, extended: u64, now: Stamp) {
        *self = Self {
            started: true,
            highest: extended,
            heard_at: now,
            statistics: Statistics { base: extended, received: 1, ..Statistics::default() },
            ..Self::default()
        };
        self.mark(extended);
    }

    fn accept_late(&mut self, back: u64, now: Stamp) -> Result<Accepted, DropReason> {
        let extended = self.highest.checked_sub(back).ok_or(DropReason::TooOld)?;
        if self.is_seen(extended) {
            return Err(DropReason::Duplicate);
        }
        self.mark(extended);
        self.heard_at = now;
        self.statistics.received += 1;
        self.statistics.base = self.statistics.base.min(extended);
        Ok(Accepted { extended, missing: extended..extended, highest_before: self.highest })
    }

    fn accept_ahead(&mut self, ahead: u64, now: Stamp) -> Accepted {
        let highest_before = self.highest;
        let extended = highest_before + ahead;
        if ahead >= limits::SEQ_WINDOW {
            self.seen = [0; WORDS];
        } else {
            for skipped in highest_before + 1..extended {
                self.seen[word(skipped)] &= !bit(skipped);
            }
        }
        self.highest = extended;
        self.mark(extended);
        self.expected_after_jump = None;
        self.heard_at = now;
        self.statistics.received += 1;
        Accepted { extended, missing: highest_before + 1..extended, highest_before }
    }

    /// A forged or replayed packet must not move the window, an outage may: two packets in sequence tell. Numbers
    /// never go back under one key, so what seems old after silence is far ahead.
    fn accept_jump(&mut self, seq: Seq, ahead: bool, now: Stamp) -> Result<Accepted, DropReason> {
        let plausible = ahead || now.since(self.heard_at) >= limits::SEQ_SILENCE;
        if !plausible || self.expected_after_jump != Some(seq) {
            self.expected_after_jump = plausible.then_some(seq.plus(1));
            return Err(DropReason::TooOld);
        }
        let highest_before = self.highest;
        let ahead = seq.0.wrapping_sub(low(highest_before).0);
        let extended = highest_before + u64::from(ahead);
        self.restart_at(extended, now);
        Ok(Accepted { extended, missing: extended..extended, highest_before })
    }

    fn is_seen(&self, extended: u64) -> bool {
        self.seen[word(extended)] & bit(extended) != 0
    }

    fn mark(&mut self, extended: u64) {
        self.seen[word(extended)] |= bit(extended);
    }
}

/// The extended number with these low bits that lies nearest to `reference` (RFC 3711 §A), at least the number itself.
fn nearest(reference: u64, seq: Seq) -> u64 {
    let distance = i64::from(seq.distance_from(low(reference)));
    reference.checked_add_signed(distance).unwrap_or(u64::from(seq.0))
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are the sequence number")]
const fn low(extended: u64) -> Seq {
    Seq(extended as u16)
}

#[expect(clippy::cast_possible_truncation, reason = "report blocks carry 32 bits")]
const fn truncate(extended: u64) -> u32 {
    extended as u32
}

const fn word(extended: u64) -> usize {
    (extended % limits::SEQ_WINDOW / 64) as usize
}

const fn bit(extended: u64) -> u64 {
    1 << (extended % 64)
}

#[cfg(test)]
#[path = "ingress/tests.rs"]
mod tests;
