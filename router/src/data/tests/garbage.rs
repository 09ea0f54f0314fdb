//! Whatever bytes come, from whom and how: counted, and nothing else happens.

use super::*;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let head = prop::sample::select(vec![0u8, 1, 22, 63, 64, 127, 128, 129, 144, 160, 191, 255]);
    let second = prop::sample::select(vec![0u8, 1, 96, 111, 191, 192, 200, 201, 205, 206, 255]);
    (head, second, prop::collection::vec(any::<u8>(), 0..1_600)).prop_map(|(head, second, rest)| {
        let mut bytes = rest;
        bytes.iter_mut().zip([head, second]).for_each(|(byte, value)| *byte = value);
        bytes
    })
}

proptest! {
    #[test]
    fn is_accounted_for_packet_by_packet(
        datagrams in prop::collection::vec((bytes(), 0u32..6, 0usize..1_600), 1..40),
    ) {
        let mut world = World::with_meeting(Kind::Video);
        let mut packets = 0;
        for (bytes, from, segment) in datagrams {
            packets += match segment {
                _ if bytes.is_empty() => 1,
                0 => 1,
                segment => bytes.len().div_ceil(segment) as u64,
            };
            world.arrive(0, path(from), &bytes, segment);
        }
        let router = &world.workers[0];
        let heard = router.counters().stun - 4 + router.counters().rtcp;
        let taken: u64 = router.counters().received.iter().map(|traffic| traffic.packets).sum();
        prop_assert_eq!(router.drops().total() + heard + taken, packets);
        prop_assert!(world.outbox.is_empty());
    }

    #[test]
    fn behind_a_right_header_is_forwarded_or_counted(
        flips in prop::collection::vec((0usize..60, any::<u8>()), 1..6),
        seq in any::<u16>(),
    ) {
        let mut world = World::with_meeting(Kind::Video);
        world.media(0, 0, &packet(0, seq, 60));
        let mut bytes = keyframe(0, seq.wrapping_add(1), 60);
        for (at, value) in flips {
            bytes[at] = value;
        }
        world.media(0, 0, &bytes);
        let router = &world.workers[0];
        let taken = router.counters().received[1].packets;
        let heard = router.counters().rtcp + router.counters().stun - 4;
        prop_assert_eq!(router.drops().total() + heard + taken, 2);
    }
}
