//! From bytes that arrived to transmits in the outbox: one audio packet, or a train of eight video packets, to every
//! destination.

use super::Micro;
use crate::scene::Scene;
use crate::train::Train;
use std::hint::black_box;
use std::time::Duration;
use wire::Kind;

/// Slow enough for the highest bitrate there is.
const PACE: Duration = Duration::from_millis(2);

pub(super) fn benches() -> Vec<Micro> {
    let mut all = Vec::new();
    for (what, kind, packets, len) in
        [("audio-packet", Kind::Audio, 1, 160), ("video-train-of-8", Kind::Video, 8, 1_200)]
    {
        for destinations in [1, 10, 100, 1_000] {
            let name = format!("fan-out/{what}/{destinations}");
            all.push(Micro::new(name, u64::from(destinations), move || {
                let mut scene = Scene::fan_out(kind, destinations);
                let mut train = Train::new(kind, packets, len);
                move || {
                    train.renumber();
                    let queued = scene.hear(0, black_box(&train.bytes), train.segment, PACE);
                    assert_eq!(queued, destinations as usize, "one transmit per destination");
                }
            }));
        }
    }
    all
}
