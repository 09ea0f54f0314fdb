//! Keeping packets for repair, and sending one again.

use super::Micro;
use crate::scene::Scene;
use crate::train::Train;
use router::limits::HISTORY_AGE_MAX;
use std::hint::black_box;
use std::time::Duration;
use wire::{Kind, Seq};

/// Slow enough for the highest bitrate there is, with 8 packets each time.
const PACE: Duration = Duration::from_millis(2);
/// A NACK each, and new packets once in so many: a link's repair budget is a packet a millisecond.
const NACKS_PER_TRAIN: u32 = 100;
const NACK_PACE: Duration = Duration::from_millis(1);
const _: () =
    assert!(NACK_PACE.as_millis() * (NACKS_PER_TRAIN as u128) < HISTORY_AGE_MAX.as_millis());

pub(super) fn benches() -> Vec<Micro> {
    let insert = Micro::new("history/take-and-keep-8", 8, || {
        let mut scene = Scene::new(Kind::Video, 1, 1);
        let mut train = Train::new(Kind::Video, 8, 1_200);
        move || {
            // Nobody gets them: what is left is judging them and the copies.
            train.renumber();
            assert_eq!(scene.hear(0, black_box(&train.bytes), train.segment, PACE), 0);
            assert_eq!(scene.router.drops().total(), 0, "all are taken");
        }
    });
    let answer = Micro::new("history/nack-answer", 1, || {
        let mut scene = Scene::fan_out(Kind::Video, 1);
        let mut train = Train::new(Kind::Video, 8, 1_200);
        let mut asked = 0;
        move || {
            if asked % NACKS_PER_TRAIN == 0 {
                train.renumber();
                scene.hear(0, &train.bytes, train.segment, PACE);
            }
            asked += 1;
            // RTCP's own cost stands in srtp/open-rtcp and parse/rtcp-nack.
            let lost = Seq(train.next().wrapping_sub(5));
            assert_eq!(scene.hear_nack(black_box(lost), NACK_PACE), 1, "it is sent again");
        }
    });
    vec![insert, answer]
}
