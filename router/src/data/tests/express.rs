//! Packets that the kernel has replicated already: each link is served once, by the kernel or by the worker.

use super::*;
use crate::limits::{EXPRESS_GENERATION_MIN, EXPRESS_OVER_RATE, EXPRESS_VERSIONS};

fn version(number: u32, links: &[u32]) -> Order {
    let generation = EXPRESS_GENERATION_MIN + number;
    let links = links.iter().copied().collect();
    Order::Express(Arc::new(ExpressVersion { layer: layer(0), generation, links }))
}

/// The links a worker serves with a packet that bears this mark.
fn served(world: &mut World, seq: u16, mark: u32) -> Vec<u32> {
    let bytes = packet(0, seq, 100);
    let arrival =
        Arrival { path: path(0), slot: SlotId(7), offset: 100, bytes: &bytes, segment: 0, mark };
    world.workers[0].handle_arrival(arrival, world.now, &mut world.outbox);
    let mut links: Vec<u32> = world.forwarded(&bytes).iter().map(|sent| sent.link).collect();
    links.sort_unstable();
    links
}

#[test]
fn whom_the_kernel_served_at_a_packets_version_is_left_out() {
    let mut world = World::with_meeting(Kind::Audio);
    world.order(version(1, &[1]));
    world.order(version(2, &[1, 3]));
    let mark = |number| EXPRESS_GENERATION_MIN + number;
    assert_eq!(served(&mut world, 1, 0), [1, 2, 3]);
    assert_eq!(served(&mut world, 2, mark(1)), [2, 3]);
    assert_eq!(served(&mut world, 3, mark(2)), [2]);
    // Somebody else's marks.
    assert_eq!(served(&mut world, 4, mark(3)), [1, 2, 3]);
    assert_eq!(served(&mut world, 5, 1), [1, 2, 3]);
    // A link that is routed to later than the version was made is the worker's.
    world.order(Order::Unroute { layer: layer(0), link: link(1) });
    assert_eq!(served(&mut world, 6, mark(2)), [2]);
}

#[test]
fn a_version_is_forgotten_after_as_many_as_are_kept() {
    let mut world = World::with_meeting(Kind::Audio);
    let last = u32::try_from(EXPRESS_VERSIONS).unwrap() + 1;
    (1..=last).for_each(|number| world.order(version(number, &[1, 2, 3])));
    assert_eq!(served(&mut world, 2, EXPRESS_GENERATION_MIN + 2), [0; 0]);
    // Whom the kernel served nobody knows: nobody gets it twice, and who lacks it asks for it.
    assert_eq!(served(&mut world, 1, EXPRESS_GENERATION_MIN + 1), [0; 0]);
    assert_eq!(world.drops(DropReason::ExpressForgotten), 3);
    let lost = [(wire::Seq(1), 0)];
    world.rtcp(0, 3, |sender, out| wire::rtcp::write_nack(sender, ssrc(0), &lost, out));
    assert_eq!(world.workers[0].counters().retransmitted, 1);
}

#[test]
fn what_the_kernel_policed_is_not_policed_twice() {
    let mut world = World::with_meeting(Kind::Audio);
    world.order(version(1, &[1, 2]));
    // Far more than the layer's burst.
    for seq in 0..4_000 {
        assert_eq!(served(&mut world, seq, EXPRESS_GENERATION_MIN + 1), [3]);
    }
    assert_eq!(served(&mut world, 4_000, EXPRESS_OVER_RATE), [0; 0]);
    assert_eq!(world.drops(DropReason::OverRate), 1);
    assert_eq!(served(&mut world, 4_001, 0), [1, 2, 3]);
}

#[test]
fn a_version_of_a_layer_that_is_gone_is_passed_over() {
    let mut world = World::with_meeting(Kind::Audio);
    for index in 1..4 {
        world.order(Order::Unroute { layer: layer(0), link: link(index) });
    }
    world.order(Order::RemoveLayer(layer(0)));
    world.order(version(1, &[1]));
}
