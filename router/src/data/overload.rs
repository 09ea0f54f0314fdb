//! What a worker gives up when it can't keep up: video first, then content, never audio.
//!
//! All kinds wait in the same socket queue. Once that is full the kernel drops whatever comes, audio and video alike,
//! so a worker that falls behind must do less before it is. How far it is behind shows in its turns: a turn takes all
//! that came during the last one, so turns grow while more comes than goes.
//!
//! Whole layers are given up, not packets here and there: a picture with holes is repaired at a cost, and of no use
//! until then. Which ones is decided by their index, so every layer is given up as long as the others, and one that is
//! taken back starts with a keyframe.

use super::clock::Stamp;
use crate::limits;
use std::time::Duration;
use wire::Kind;

/// Layers of one kind are told apart by this many ranks.
const RANKS: u16 = 256;
/// Everything but audio.
const SHARE_MAX: u16 = 2 * RANKS;
/// Of [`RANKS`], given up at a time: an eighth of all video.
const RISE: u16 = 32;
/// Of [`RANKS`], taken back per window: all video in six seconds and a half.
const FALL: u16 = 2;
/// So many windows in a row with a late turn: one may be the host's hiccup.
const LATE_WINDOWS: u8 = 2;

/// How much is given up, and the turns it is decided by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    /// The ranks given up: video's, then content's.
    share: u16,
    window_began: Stamp,
    /// The longest turn of this window.
    longest: Duration,
    /// Windows in a row with a late turn.
    late_windows: u8,
}

impl Overload {
    /// A turn took from `began` to `ended`.
    pub(super) fn note_turn(&mut self, began: Stamp, ended: Stamp) {
        self.longest = self.longest.max(ended.since(began));
        let window = ended.since(self.window_began);
        if window < limits::OVERLOAD_WINDOW {
            return;
        }
        self.decide(window);
        self.window_began = ended;
        self.longest = Duration::ZERO;
    }

    /// An idle worker has few turns, and its windows are as long as those: what it takes back goes by time.
    fn decide(&mut self, window: Duration) {
        if self.longest >= limits::OVERLOAD_TURN {
            self.late_windows += 1;
            if self.late_windows == LATE_WINDOWS {
                self.late_windows = 0;
                self.share = (self.share + RISE).min(SHARE_MAX);
            }
            return;
        }
        self.late_windows = 0;
        if self.longest < limits::OVERLOAD_TURN / 2 {
            let windows = window.as_nanos() / limits::OVERLOAD_WINDOW.as_nanos();
            let windows = u16::try_from(windows).unwrap_or(u16::MAX);
            self.share = self.share.saturating_sub(windows.saturating_mul(FALL));
        }
    }

    /// Whether packets of this layer are given up.
    pub(super) fn gives_up(&self, kind: Kind, layer: u32) -> bool {
        // Neighbours, which are one publisher's layers, get ranks far apart.
        let [rank, ..] = layer.wrapping_mul(0x9E37_79B9).to_be_bytes();
        match kind {
            Kind::Audio => false,
            Kind::Video => u16::from(rank) < self.share,
            Kind::Content => u16::from(rank) + RANKS < self.share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Turns of one length, one behind the other, for `span_ms`.
    fn turns(overload: &mut Overload, from: Stamp, turn_ms: u64, span_ms: u64) -> Stamp {
        let mut at = from;
        while at < Stamp(from.0 + span_ms * MS) {
            let end = Stamp(at.0 + turn_ms * MS);
            overload.note_turn(at, end);
            at = end;
        }
        at
    }

    fn given_up(overload: &Overload, kind: Kind) -> usize {
        (0..10_000).filter(|&layer| overload.gives_up(kind, layer)).count()
    }

    #[test]
    fn gives_up_nothing_while_turns_are_short() {
        let mut overload = Overload::default();
        turns(&mut overload, Stamp(0), 3, 10_000);
        for kind in Kind::ALL {
            assert_eq!(given_up(&overload, kind), 0);
        }
    }

    #[test]
    fn one_long_turn_is_no_overload() {
        let mut overload = Overload::default();
        let at = turns(&mut overload, Stamp(0), 1, 1_000);
        let at = turns(&mut overload, at, 80, 80);
        turns(&mut overload, at, 1, 1_000);
        assert_eq!(given_up(&overload, Kind::Video), 0);
    }

    #[test]
    fn gives_up_video_then_content_and_never_audio() {
        let mut overload = Overload::default();
        let at = turns(&mut overload, Stamp(0), 20, 500);
        let (video, content) =
            (given_up(&overload, Kind::Video), given_up(&overload, Kind::Content));
        assert!((1_000..9_000).contains(&video), "{video}");
        assert_eq!(content, 0);
        turns(&mut overload, at, 20, 5_000);
        assert_eq!(given_up(&overload, Kind::Video), 10_000);
        assert_eq!(given_up(&overload, Kind::Content), 10_000);
        assert_eq!(given_up(&overload, Kind::Audio), 0);
    }

    #[test]
    fn takes_back_slowly_and_all_of_it() {
        let mut overload = Overload::default();
        let at = turns(&mut overload, Stamp(0), 20, 5_000);
        let at = turns(&mut overload, at, 1, 1_000);
        assert!(given_up(&overload, Kind::Video) > 5_000);
        turns(&mut overload, at, 1, 30_000);
        assert_eq!(given_up(&overload, Kind::Video), 0);
    }

    #[test]
    fn a_worker_with_little_to_do_takes_back_as_fast() {
        let mut overload = Overload::default();
        let at = turns(&mut overload, Stamp(0), 20, 5_000);
        for second in 0..16 {
            let at = Stamp(at.0 + second * 1_000 * MS);
            overload.note_turn(at, at);
        }
        assert_eq!(given_up(&overload, Kind::Video), 0);
    }

    #[test]
    fn neither_gives_up_nor_takes_back_in_between() {
        let mut overload = Overload::default();
        let at = turns(&mut overload, Stamp(0), 20, 500);
        let before = given_up(&overload, Kind::Video);
        turns(&mut overload, at, 7, 5_000);
        assert_eq!(given_up(&overload, Kind::Video), before);
    }
}
