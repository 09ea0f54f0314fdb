//! Makes one sequence of frames of two: those an old MMR sends, then those of a new one, without a
//! hole or a frame twice. Pure: frames in, frames out.
//!
//! A publisher that moves counts timestamps on, so a frame has the same one at both MMRs.

use crate::media::Frame;

/// At which MMR a frame was received; the later the larger.
pub(super) type Source = u32;

/// Frames further apart than this are not of one clock, in seconds.
const SAME_CLOCK_S: i64 = 120;

/// One sequence of frames, of whichever source goes on with it.
pub(super) struct Splice {
    clock_hz: u32,
    /// Whose frames go out.
    leading: Source,
    /// Whether it sends no more.
    leading_ended: bool,
    /// Of the last frame that went out.
    last: Option<u64>,
    next: Option<Next>,
}

/// The source that is to take over.
struct Next {
    source: Source,
    /// Whether it has sent a frame that can be decoded alone.
    begun: bool,
    /// Whether nothing is to be waited for: it has since sent one that went out already, so it lacks
    /// nothing that follows; or the other source has ended.
    joined: bool,
    /// Its frames after those that went out.
    held: Vec<Frame>,
}

impl Splice {
    pub(super) fn new(clock_hz: u32, source: Source) -> Self {
        Self { clock_hz, leading: source, leading_ended: false, last: None, next: None }
    }

    /// From now on this source is waited for.
    pub(super) fn expect(&mut self, source: Source) {
        let joined = self.leading_ended;
        self.next = Some(Next { source, begun: false, joined, held: Vec::new() });
    }

    /// Takes a frame; answers those that go out then, in order.
    pub(super) fn receive(&mut self, source: Source, frame: Frame) -> Vec<Frame> {
        if source == self.leading {
            return self.receive_leading(frame);
        }
        let ahead = self.ahead(&frame);
        let Some(next) = self.next.as_mut().filter(|next| next.source == source) else {
            return Vec::new();
        };
        next.begun |= frame.keyframe;
        if !next.begun {
            return Vec::new();
        }
        match ahead {
            Some(ahead) if ahead <= 0 => next.joined = true,
            Some(_) => next.held.push(frame),
            // Nothing went out yet, or it is another clock: there is nothing to wait for.
            None => {
                next.held.push(frame);
                next.joined = true;
            }
        }
        if next.joined && !next.held.is_empty() { self.take_over() } else { Vec::new() }
    }

    /// Nothing more comes of this source; answers what was held back for it.
    pub(super) fn end(&mut self, source: Source) -> Vec<Frame> {
        if source != self.leading {
            self.next.take_if(|next| next.source == source);
            return Vec::new();
        }
        self.leading_ended = true;
        match &mut self.next {
            Some(next) if next.held.is_empty() => next.joined = true,
            Some(_) => return self.take_over(),
            None => {}
        }
        Vec::new()
    }

    /// Whether this source is needed no more.
    pub(super) fn is_past(&self, source: Source) -> bool {
        source < self.leading
    }

    /// Whether frames are held back until those before them come.
    pub(super) fn is_holding(&self) -> bool {
        self.next.as_ref().is_some_and(|next| !next.held.is_empty())
    }

    fn receive_leading(&mut self, frame: Frame) -> Vec<Frame> {
        // Both have this one: all before it went out.
        let reached = self
            .next
            .as_ref()
            .and_then(|next| next.held.first())
            .is_some_and(|first| signed_distance(frame.timestamp, first.timestamp) >= 0);
        if reached { self.take_over() } else { vec![self.place(frame)] }
    }

    fn take_over(&mut self) -> Vec<Frame> {
        let Some(next) = self.next.take() else { return Vec::new() };
        (self.leading, self.leading_ended) = (next.source, false);
        next.held.into_iter().map(|frame| self.place(frame)).collect()
    }

    /// The frame with its time counted on from the last one's.
    fn place(&mut self, frame: Frame) -> Frame {
        let timestamp = match (self.last, self.ahead(&frame)) {
            (None, _) => frame.timestamp,
            (Some(last), Some(ahead)) => last.saturating_add_signed(ahead),
            // The time between two clocks is not known.
            (Some(last), None) => last + u64::from(self.clock_hz),
        };
        self.last = Some(timestamp);
        Frame { timestamp, ..frame }
    }

    /// How many ticks a frame is after the last one that went out; `None` when it can't be told.
    fn ahead(&self, frame: &Frame) -> Option<i64> {
        let ahead = signed_distance(frame.timestamp, self.last?);
        (ahead.abs() < SAME_CLOCK_S * i64::from(self.clock_hz)).then_some(ahead)
    }
}

/// RTP carries 32 bits; what is above them each receiver counts for itself.
fn signed_distance(one: u64, other: u64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // the modulus is meant
    let low = one.wrapping_sub(other) as u32;
    i64::from(low.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const TICKS: u64 = 3_000;

    /// Frame `number` of a stream with a keyframe every ten; `wraps` as its receiver counted.
    fn frame(number: u64, wraps: u64) -> Frame {
        let timestamp = (wraps << 32) + number * TICKS;
        Frame { timestamp, keyframe: number.is_multiple_of(10), data: Bytes::from(vec![0; 1]) }
    }

    /// Feeds (source, frame) in this order; the numbers of what went out.
    fn played(order: &[(Source, u64)]) -> Vec<u64> {
        let mut splice = Splice::new(90_000, 0);
        splice.expect(1);
        let out = order.iter().flat_map(|(source, number)| {
            splice.receive(*source, frame(*number, u64::from(*source)))
        });
        out.map(|frame| frame.timestamp / TICKS).collect()
    }

    #[test]
    fn a_new_source_that_is_behind_takes_over_when_it_has_caught_up() {
        let order = [(0, 8), (0, 9), (0, 10), (0, 11), (1, 9), (1, 10), (1, 11), (1, 12), (0, 12)];
        assert_eq!(played(&order), [8, 9, 10, 11, 12]);
    }

    #[test]
    fn a_new_source_that_is_ahead_waits_for_the_old_one() {
        let order = [(0, 8), (1, 10), (1, 11), (0, 9), (1, 12), (0, 10), (1, 13), (0, 11)];
        assert_eq!(played(&order), [8, 9, 10, 11, 12, 13]);
    }

    #[test]
    fn nothing_of_a_new_source_goes_out_before_its_keyframe() {
        let order = [(0, 6), (1, 7), (0, 7), (1, 8), (0, 8), (1, 9), (0, 9), (1, 10), (0, 10)];
        assert_eq!(played(&order), [6, 7, 8, 9, 10]);
    }

    #[test]
    fn every_order_of_two_whole_sequences_gives_one() {
        for seed in 0..500 {
            use rand::{Rng, SeedableRng};
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let (mut old, mut new) = (0, random.random_range(0..30));
            let mut order = Vec::new();
            while old < 60 || new < 60 {
                if new >= 60 || (old < 60 && random.random_bool(0.5)) {
                    order.push((0, old));
                    old += 1;
                } else {
                    order.push((1, new));
                    new += 1;
                }
            }
            // The first frame heard of the old one is its first.
            order.insert(0, (0, 0));
            order.remove(order.iter().rposition(|one| *one == (0, 0)).unwrap_or(0));
            let out = played(&order);
            assert_eq!(out, (0..60).collect::<Vec<_>>(), "seed {seed}");
        }
    }

    #[test]
    fn what_waits_goes_out_when_the_old_source_ends() {
        let mut splice = Splice::new(90_000, 0);
        splice.receive(0, frame(4, 1));
        splice.expect(1);
        assert!(splice.receive(1, frame(10, 1)).is_empty());
        assert!(splice.is_holding() && !splice.is_past(0));
        assert_eq!(splice.end(0).len(), 1);
        assert!(splice.is_past(0) && !splice.is_holding());
        assert_eq!(splice.receive(1, frame(11, 1)).len(), 1);
    }

    #[test]
    fn a_source_that_comes_after_the_end_of_the_old_one_begins_with_a_keyframe() {
        let mut splice = Splice::new(90_000, 0);
        splice.receive(0, frame(4, 1));
        splice.end(0);
        splice.expect(1);
        assert!(splice.receive(1, frame(9, 1)).is_empty());
        assert_eq!(splice.receive(1, frame(10, 1)).len(), 1);
    }

    #[test]
    fn another_clock_goes_on_a_second_later() {
        let mut splice = Splice::new(90_000, 0);
        splice.receive(0, frame(4, 1));
        splice.expect(1);
        let other = Frame { timestamp: 2_000_000_000, ..frame(0, 0) };
        let out = splice.receive(1, other);
        assert_eq!(out[0].timestamp, frame(4, 1).timestamp + 90_000);
    }
}
