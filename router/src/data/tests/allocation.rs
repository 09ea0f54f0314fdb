//! A router takes its memory when it is made: nothing it hears makes it take more.

use super::*;
use allocation_counter::measure;
use wire::{Seq, rtcp};

/// One turn's worth of everything a worker hears; `round` makes it new each time.
struct Traffic {
    check: Vec<u8>,
    forged: Vec<u8>,
    media: Vec<Vec<u8>>,
    nacks: Vec<Vec<u8>>,
}

impl Traffic {
    fn new(rounds: u16) -> Self {
        let keys = SessionKeys::derive(&master_key(2, 0));
        let nack = |round: u16| {
            let mut packet = vec![0; 1_500];
            let lost = [(Seq(round * 8), 0xffff)];
            let len = rtcp::write_nack(Ssrc(1_002), ssrc(0), &lost, &mut packet).unwrap();
            let len = keys.protect_rtcp(u32::from(round), &mut packet, len).unwrap();
            packet.truncate(len);
            packet
        };
        // Every eighth packet of a train is missing, every tenth train begins a keyframe.
        let train = |round: u16| {
            let first = match round % 10 {
                0 => keyframe(0, round * 8, 300),
                _ => packet(0, round * 8, 300),
            };
            let rest = (1..7).flat_map(|number| packet(0, round * 8 + number, 300));
            first.into_iter().chain(rest).collect()
        };
        Self {
            check: check(0, PASSWORD),
            forged: check(0, "another password"),
            media: (0..rounds).map(train).collect(),
            nacks: (0..rounds).map(nack).collect(),
        }
    }

    fn turn(&self, world: &mut World, round: usize) {
        let (router, outbox) = (&mut world.workers[0], &mut world.outbox);
        world.now += Duration::from_millis(3);
        let arrive = |router: &mut Router, outbox: &mut Outbox, path, bytes: &[u8], segment| {
            let arrival = Arrival { path, slot: SlotId(7), offset: 0, bytes, segment, mark: 0 };
            router.handle_arrival(arrival, world.now, outbox);
        };
        // The publisher's address changes every hundred rounds.
        let home = path_at(5_000 + u16::try_from(round / 100).unwrap());
        arrive(router, outbox, home, &self.check, 0);
        arrive(router, outbox, path_at(1), &self.forged, 0);
        arrive(router, outbox, home, &self.media[round], 300);
        arrive(router, outbox, path_at(2), &self.media[round], 300);
        arrive(router, outbox, path(2), &self.nacks[round], 0);
        let (link, at) = (link(1), world.now);
        let bound = PeerMessage::Bound { link, path: path(1), worker: WorkerId(1), at };
        router.handle_peer(bound, world.now, outbox);
        router.handle_peer(PeerMessage::Pli { layer: layer(0) }, world.now, outbox);
        router.handle_timeout(world.now, outbox);
        while router.poll_change().is_some() {}
        while router.poll_event().is_some() {}
        while router.poll_peer().is_some() {}
        outbox.clear();
    }
}

#[test]
fn nothing_heard_allocates() {
    let mut world = World::with_meeting(Kind::Video);
    let rounds = 3_000;
    let traffic = Traffic::new(rounds);
    traffic.turn(&mut world, 0);
    let allocated =
        measure(|| (1..usize::from(rounds)).for_each(|at| traffic.turn(&mut world, at)));
    assert_eq!(allocated.count_total, 0);
    // All of it happened.
    let router = &world.workers[0];
    let counters = router.counters();
    assert!(counters.received[1].packets > 5_000, "{counters:?}");
    assert!(counters.retransmitted > 100 && counters.stun > 2_000, "{counters:?}");
    assert!(router.drops().of(DropReason::StunForged) > 2_000);
    assert!(router.drops().of(DropReason::Stranger) > 10_000);
    assert!(router.drops().of(DropReason::OverRate) > 5_000);
}
