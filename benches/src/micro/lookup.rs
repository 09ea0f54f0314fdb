//! Looking up links by path and layers by label, through the router's front door: a stranger's packet ends at the
//! first lookup, one with a wrong label at the second, a good one without destinations is also noted and kept.
//!
//! A router holds at most `LINKS_MAX` links and `LAYERS_MAX` layers, 65,536: that is the largest table there is, and
//! stands for the 100,000 one might ask for. Packets come from all links in turn, in an order no cache foresees.

use super::Micro;
use crate::scene::{Scene, ssrc};
use crate::train::Train;
use router::DropReason;
use router::limits::{LAYERS_MAX, LINKS_MAX};
use std::hint::black_box;
use std::time::Duration;
use wire::Kind;

const _: () = assert!(LINKS_MAX == LAYERS_MAX);
/// From link to link; prime, so that all have their turn.
const STRIDE: u32 = 7_919;
/// Between two packets: with ten links still below the highest bitrate.
const PACE: Duration = Duration::from_micros(50);

pub(super) fn benches() -> Vec<Micro> {
    let mut all = Vec::new();
    for entries in [10, 10_000, LINKS_MAX] {
        let sized = [
            Micro::new(format!("lookup/stranger/{entries}"), 1, move || {
                let packet = Train::new(Kind::Audio, 1, 160);
                let mut turns = Turns::new(entries);
                move || {
                    let from = turns.next() + entries;
                    turns.hear(from, &packet, DropReason::Stranger);
                }
            }),
            Micro::new(format!("lookup/link/{entries}"), 1, move || {
                let mut packet = Train::new(Kind::Audio, 1, 160);
                packet.relabel(ssrc(entries).0);
                let mut turns = Turns::new(entries);
                move || {
                    let from = turns.next();
                    turns.hear(from, &packet, DropReason::WrongSsrc);
                }
            }),
            Micro::new(format!("lookup/link-and-layer/{entries}"), 1, move || {
                let mut packet = Train::new(Kind::Audio, 1, 160);
                let mut turns = Turns::new(entries);
                let mut heard = 0;
                move || {
                    if heard % entries == 0 {
                        packet.renumber();
                    }
                    heard += 1;
                    let from = turns.next();
                    packet.relabel(ssrc(from).0);
                    turns.scene.hear(from, black_box(&packet.bytes), packet.segment, PACE);
                    assert_eq!(turns.scene.router.drops().total(), 0, "all are taken");
                }
            }),
        ];
        let is_largest = entries == LINKS_MAX;
        all.extend(sized.map(|micro| if is_largest { micro.not_counted() } else { micro }));
    }
    all
}

/// Many links, one after the other.
struct Turns {
    scene: Scene,
    entries: u32,
    at: u32,
    heard: u64,
}

impl Turns {
    fn new(entries: u32) -> Self {
        Self { scene: Scene::new(Kind::Audio, entries, entries), entries, at: 0, heard: 0 }
    }

    fn next(&mut self) -> u32 {
        self.at = (self.at + STRIDE) % self.entries;
        self.at
    }

    fn hear(&mut self, from: u32, packet: &Train, dropped: DropReason) {
        self.scene.hear(from, black_box(&packet.bytes), packet.segment, PACE);
        self.heard += 1;
        assert_eq!(self.scene.router.drops().of(dropped), self.heard);
    }
}
