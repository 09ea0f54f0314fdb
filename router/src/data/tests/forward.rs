//! Media in, media out.

use super::*;

#[test]
fn a_packet_goes_to_every_route_as_it_came() {
    let mut world = World::with_meeting(Kind::Audio);
    let packet = packet(0, 1, 100);
    world.media(0, 0, &packet);
    let mut links: Vec<u32> = world.outbox.datagrams().map(|transmit| transmit.link).collect();
    links.sort_unstable();
    assert_eq!(links, [1, 2, 3]);
    assert!(world.forwarded(&packet).iter().all(|sent| sent.bytes == packet));
    let counters = world.workers[0].counters();
    assert_eq!(counters.received[0], Traffic { packets: 1, bytes: 100 });
}

#[test]
fn a_train_leaves_as_a_train() {
    let mut world = World::with_meeting(Kind::Video);
    let mut train: Vec<u8> = (0..8).flat_map(|seq| packet(0, seq, 1_200)).collect();
    train.extend(packet(0, 8, 500));
    world.arrive(0, path(0), &train, 1_200);
    let sent = world.forwarded(&train);
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|sent| sent.packets == 9 && sent.bytes == train));
    assert_eq!(world.workers[0].counters().received[1].packets, 9);
}

#[test]
fn a_train_is_cut_where_the_layer_changes_and_where_a_packet_is_dropped() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_layer(layer(1), 0, Kind::Video);
    world.order(Order::Route { layer: layer(1), link: link(1) });
    let packets = [
        packet(0, 1, 200),
        packet(0, 2, 200),
        packet(0, 2, 200),
        packet(0, 3, 200),
        packet(1, 1, 200),
        packet(9, 1, 200),
        packet(1, 2, 200),
        packet(1, 3, 90),
    ];
    let train = packets.concat();
    world.arrive(0, path(0), &train, 200);
    assert_eq!(world.drops(DropReason::Duplicate), 1);
    assert_eq!(world.drops(DropReason::WrongSsrc), 1);
    let sent = world.forwarded(&train);
    let runs = |link| -> Vec<u32> {
        sent.iter().filter(|sent| sent.link == link).map(|sent| sent.packets).collect()
    };
    assert_eq!(runs(1), [2, 1, 1, 2]);
    assert_eq!(runs(2), [2, 1]);
    let first: Vec<u8> =
        sent.iter().filter(|sent| sent.link == 1).flat_map(|sent| sent.bytes.clone()).collect();
    let taken = [0, 1, 3, 4, 6, 7].map(|at: usize| packets[at].clone()).concat();
    assert_eq!(first, taken);
}

#[test]
fn a_route_to_a_link_that_is_not_bound_is_counted_and_not_taken() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_link(link(4), Kind::Video);
    world.order(Order::Route { layer: layer(0), link: link(4) });
    let train: Vec<u8> = (0..5).flat_map(|seq| packet(0, seq, 300)).collect();
    world.arrive(0, path(0), &train, 300);
    assert_eq!(world.forwarded(&train).len(), 3);
    assert_eq!(world.drops(DropReason::Unbound), 5);
}

#[test]
fn a_stream_link_gets_its_packets_by_the_stream_lane() {
    let mut world = World::with_meeting(Kind::Audio);
    world.pass(limits::MOVE_INTERVAL);
    world.check_from(0, 2, stream_path(9));
    let check_answered = world.outbox.streams().len();
    assert_eq!(check_answered, 1);
    world.take();
    world.media(0, 0, &packet(0, 1, 100));
    let links: Vec<u32> = world.outbox.streams().iter().map(|transmit| transmit.link).collect();
    assert_eq!(links, [2]);
    assert_eq!(world.workers[0].path(2), Some(stream_path(9)));
}

#[test]
fn nothing_is_taken_from_an_address_without_a_check() {
    let mut world = World::with_meeting(Kind::Audio);
    world.arrive(0, path_at(9_999), &packet(0, 1, 100), 100);
    assert_eq!(world.drops(DropReason::Stranger), 1);
    assert!(world.outbox.is_empty());
    assert_eq!(world.workers[0].path(0), Some(path(0)));
}

#[test]
fn nobody_sends_with_another_links_ssrc() {
    let mut world = World::with_meeting(Kind::Audio);
    world.media(0, 1, &packet(0, 1, 100));
    assert_eq!(world.drops(DropReason::WrongSsrc), 1);
    assert!(world.outbox.is_empty());
}

#[test]
fn replayed_packets_are_dropped_by_reason() {
    let mut world = World::with_meeting(Kind::Audio);
    for seq in [3_000, 3_000, 100] {
        world.media(0, 0, &packet(0, seq, 100));
    }
    assert_eq!(world.drops(DropReason::Duplicate), 1);
    assert_eq!(world.drops(DropReason::TooOld), 1);
    assert_eq!(world.outbox.datagrams().count(), 3);
}

#[test]
fn a_layer_over_its_rate_is_cut_down_to_it() {
    let mut world = World::with_meeting(Kind::Video);
    for seq in 0..2_000 {
        world.media(0, 0, &packet(0, seq, 1_000));
        world.outbox.clear();
    }
    // 2 Mbit/s and a quarter, for half a second.
    let burst = 2_000_000 / 8 * 125 / 100 / 2 / 1_000;
    let received = world.workers[0].counters().received[1].packets;
    assert!((burst..=burst + 1).contains(&received), "{received}");
    assert_eq!(world.drops(DropReason::OverRate), 2_000 - received);
}

#[test]
fn a_switch_takes_effect_in_the_middle_of_a_train_at_the_keyframe() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_layer(layer(1), 0, Kind::Video);
    world.order(Order::Switch { from: layer(0), to: layer(1), link: link(2) });
    let train =
        [packet(1, 1, 300), packet(1, 2, 300), keyframe(1, 3, 300), packet(1, 4, 300)].concat();
    world.arrive(0, path(0), &train, 300);
    let sent = world.forwarded(&train);
    assert_eq!(sent, [Sent { link: 2, bytes: train[600..].to_vec(), packets: 2 }]);
    assert!(world.events.contains(&Event::Switched {
        from: layer(0),
        to: layer(1),
        link: link(2)
    }));
    let low = packet(0, 1, 300);
    world.media(0, 0, &low);
    let links: Vec<u32> = world.forwarded(&low).iter().map(|sent| sent.link).collect();
    assert!(!links.contains(&2) && links.len() == 2, "{links:?}");
}

#[test]
fn an_unroute_while_a_switch_waits_ends_both() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_layer(layer(1), 0, Kind::Video);
    world.order(Order::Switch { from: layer(0), to: layer(1), link: link(2) });
    world.order(Order::Unroute { layer: layer(0), link: link(2) });
    let key = keyframe(1, 1, 300);
    world.media(0, 0, &key);
    assert!(world.forwarded(&key).is_empty());
}

#[test]
fn loudness_is_told_ten_times_a_second_while_there_is_any() {
    let mut world = World::with_meeting(Kind::Audio);
    for seq in 0..50 {
        world.media(0, 0, &voice(0, seq, 30));
        world.pass(Duration::from_millis(20));
    }
    world.pass(Duration::from_secs(2));
    let levels = world.take().0;
    let told = levels
        .iter()
        .filter(|event| **event == Event::Level { layer: layer(0), level: 30, voice: true })
        .count();
    assert!((8..=10).contains(&told), "{told}");
}

#[test]
fn a_wrap_is_told_to_control_and_to_other_workers() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Video);
    world.add_layer(layer(0), 0, Kind::Video);
    world.check(0, 0);
    for seq in [65_000, 65_535, 0, 1] {
        world.media(0, 0, &packet(0, seq, 200));
    }
    assert!(world.events.contains(&Event::Rollover { layer: layer(0), roc: 1 }));
    world.take();
    world.pass(limits::MOVE_INTERVAL);
    // The publisher's address changes to one the other worker hears.
    world.check_from(1, 0, path_at(9_000));
    world.arrive(1, path_at(9_000), &packet(0, 65_534, 200), 200);
    world.arrive(1, path_at(9_000), &packet(0, 20, 200), 200);
    assert!(world.events.contains(&Event::Rollover { layer: layer(0), roc: 1 }));
}

#[test]
fn a_wrap_over_the_rate_is_told_as_well() {
    let mut world = World::with_meeting(Kind::Video);
    for seq in 64_535..=65_535 {
        world.media(0, 0, &packet(0, seq, 1_000));
    }
    let over_rate = world.drops(DropReason::OverRate);
    world.media(0, 0, &packet(0, 0, 1_000));
    assert_eq!(world.drops(DropReason::OverRate), over_rate + 1);
    assert!(world.events.contains(&Event::Rollover { layer: layer(0), roc: 1 }));
}

#[test]
fn a_removed_layer_and_its_routes_leave_nothing_behind() {
    let mut world = World::with_meeting(Kind::Video);
    world.media(0, 0, &packet(0, 1, 200));
    for index in 1..4 {
        world.order(Order::Unroute { layer: layer(0), link: link(index) });
    }
    world.order(Order::RemoveLayer(layer(0)));
    for index in 0..4 {
        world.order(Order::RemoveLink(link(index)));
    }
    world.exchange();
    world.take();
    world.media(0, 0, &packet(0, 2, 200));
    assert_eq!(world.drops(DropReason::Stranger), 1);
    assert!(world.outbox.is_empty());
    world.pass(Duration::from_secs(60));
    assert!(world.outbox.is_empty());
}

#[test]
#[should_panic(expected = "a route stays within its meeting and kind")]
fn a_route_out_of_the_meeting_is_our_own_mistake() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_link_of(MeetingId(2), link(9), Kind::Video);
    world.order(Order::Route { layer: layer(0), link: link(9) });
}
