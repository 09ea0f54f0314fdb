//! Checks, consent, and where links are.

use super::*;

#[test]
fn an_authentic_check_binds_and_is_answered_with_no_more_bytes() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Audio);
    world.check(0, 0);
    let (path, worker) = (path(0), WorkerId(0));
    assert_eq!(world.events, [Event::Bound { link: link(0), path, worker }]);
    // Every worker's network hears of it: any may have media for the link.
    let bind = LinkChange::Bind { link: 0, kind: Kind::Audio, path };
    assert_eq!(world.changes, [bind, bind]);
    let answers = world.own();
    assert_eq!(answers.len(), 1);
    let request = check(0, PASSWORD);
    assert!(answers[0].bytes.len() <= request.len());
    let (_, mapped) = wire::stun::parse_success(&answers[0].bytes, PASSWORD).unwrap();
    assert_eq!(mapped, path.remote());
}

#[test]
fn nothing_unauthenticated_is_answered_or_changes_anything() {
    let mut world = World::new(1);
    world.add_link(link(0), Kind::Audio);
    let cases = [
        (check(0, "another password"), DropReason::StunForged),
        (check(1, PASSWORD), DropReason::UnknownUfrag),
        (check(0, PASSWORD)[..40].to_vec(), DropReason::Malformed),
        (vec![0; 20], DropReason::Malformed),
    ];
    for (bytes, reason) in cases {
        let before = world.drops(reason);
        world.arrive(0, path(0), &bytes, bytes.len());
        assert_eq!(world.drops(reason), before + 1, "{reason:?}");
    }
    assert!(world.outbox.is_empty() && world.events.is_empty() && world.changes.is_empty());
    assert_eq!(world.workers[0].path(0), None);
}

#[test]
fn a_second_check_from_the_same_address_is_answered_and_changes_nothing() {
    let mut world = World::new(1);
    world.add_link(link(0), Kind::Audio);
    world.check(0, 0);
    world.take();
    world.check(0, 0);
    assert_eq!(world.own().len(), 1);
    assert!(world.events.is_empty() && world.changes.is_empty());
    assert_eq!(world.workers[0].counters().stun, 2);
}

#[test]
fn a_new_address_takes_over_with_a_check_and_the_old_one_is_a_strangers() {
    let mut world = World::with_meeting(Kind::Audio);
    world.pass(limits::MOVE_INTERVAL);
    world.check_from(0, 0, path_at(9_000));
    world.take();
    world.media(0, 0, &packet(0, 1, 100));
    assert_eq!(world.drops(DropReason::Stranger), 1);
    world.arrive(0, path_at(9_000), &packet(0, 1, 100), 100);
    assert_eq!(world.outbox.datagrams().count(), 3);
}

#[test]
fn a_link_that_takes_anothers_address_ousts_it() {
    let mut world = World::with_meeting(Kind::Audio);
    world.pass(limits::MOVE_INTERVAL);
    world.check_from(0, 2, path(1));
    let (events, changes) = world.take();
    assert!(events.contains(&Event::ConsentLost { link: link(1) }));
    assert!(changes.contains(&LinkChange::Unbind { link: 1 }));
    assert_eq!((world.workers[0].path(1), world.workers[0].path(2)), (None, Some(path(1))));
    // Its own next check from elsewhere brings it back.
    world.pass(limits::MOVE_INTERVAL);
    world.check_from(0, 1, path(2));
    assert_eq!(world.workers[0].path(1), Some(path(2)));
}

#[test]
fn without_consent_nothing_is_sent_after_thirty_seconds() {
    let mut world = World::with_meeting(Kind::Audio);
    let consented = world.now;
    let mut seq = 0;
    while world.now < consented + Duration::from_secs(40) {
        world.pass(Duration::from_millis(500));
        for index in [0, 2, 3] {
            world.check(0, index);
        }
        world.outbox.clear();
        seq += 1;
        let media = packet(0, seq, 100);
        world.media(0, 0, &media);
        let gets_it = world.forwarded(&media).iter().any(|sent| sent.link == 1);
        assert_eq!(
            gets_it,
            world.now < consented + limits::CONSENT_TIMEOUT,
            "{:?}",
            world.now - consented
        );
    }
    assert!(world.events.contains(&Event::ConsentLost { link: link(1) }));
    assert!(world.changes.contains(&LinkChange::Unbind { link: 1 }));
    assert_eq!(world.drops(DropReason::Unbound), u64::from(seq) - 59);
}

#[test]
fn only_the_worker_that_heard_the_link_tells_that_consent_was_lost() {
    let mut world = World::new(3);
    world.add_link(link(0), Kind::Audio);
    world.check(1, 0);
    world.take();
    world.pass(Duration::from_secs(31));
    assert_eq!(world.take().0, [Event::ConsentLost { link: link(0) }]);
    assert!(world.workers.iter().all(|worker| worker.path(0).is_none()));
}

#[test]
fn what_control_had_no_room_for_is_told_again_as_it_is_then() {
    let mut world = World::with_meeting(Kind::Audio);
    let bound = |path| Event::Bound { link: link(1), path, worker: WorkerId(0) };
    let lost = |index| Event::ConsentLost { link: link(index) };
    let take_back = |world: &mut World, event| {
        let now = world.now;
        world.workers[0].handle_untold(event, now);
        world.exchange();
        assert_eq!(world.take().0, []);
        world.pass(Duration::from_millis(100));
        world.take().0
    };
    assert_eq!(take_back(&mut world, bound(path(1))), [bound(path(1))]);
    // It took another's address, which is nowhere until it checks again.
    world.check_from(0, 1, path(2));
    assert!(world.take().0.contains(&lost(2)));
    assert_eq!(take_back(&mut world, lost(2)), [lost(2)]);
    assert_eq!(take_back(&mut world, bound(path(1))), [bound(path(2))]);
    // Back again before control had room: it is told only where the link is.
    let now = world.now;
    world.workers[0].handle_untold(lost(2), now);
    world.check_from(0, 2, path(1));
    world.pass(Duration::from_millis(100));
    let (path, worker) = (path(1), WorkerId(0));
    assert_eq!(world.take().0, [Event::Bound { link: link(2), path, worker }]);
    let gone = LinkId { index: 3, generation: 9 };
    assert_eq!(take_back(&mut world, Event::ConsentLost { link: gone }), []);
    let switched = Event::Switched { from: layer(0), to: layer(0), link: link(1) };
    let now = world.now;
    world.workers[0].handle_untold(switched, now);
    world.exchange();
    assert_eq!(world.take().0, [switched]);
}

#[test]
fn a_connection_that_closes_takes_its_binding_along_on_every_worker() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Audio);
    world.check_from(0, 0, stream_path(5));
    world.take();
    let now = world.now;
    world.workers[0].handle_closed(stream_path(6), now);
    world.exchange();
    assert!(world.workers.iter().all(|worker| worker.path(0).is_some()));
    world.workers[0].handle_closed(stream_path(5), now);
    world.exchange();
    assert!(world.workers.iter().all(|worker| worker.path(0).is_none()));
    assert_eq!(world.take().0, [Event::ConsentLost { link: link(0) }]);
}

#[test]
fn an_older_message_of_another_worker_does_not_undo_a_newer_check() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Audio);
    let earlier = world.now;
    world.now += Duration::from_millis(5);
    world.check(0, 0);
    let late = PeerMessage::Bound {
        link: link(0),
        path: path_at(9_000),
        worker: WorkerId(1),
        at: earlier,
    };
    world.workers[0].handle_peer(late, world.now, &mut world.outbox);
    assert_eq!(world.workers[0].path(0), Some(path(0)));
}

#[test]
fn messages_about_what_is_not_known_change_nothing() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Audio);
    let now = world.now;
    let other = LinkId { index: 0, generation: 9 };
    let far = LinkId { index: u32::MAX, generation: 0 };
    let gone = LayerId { index: 63, generation: 0 };
    let lost = NackSet { len: 255, ..NackSet::EMPTY };
    for link in [other, far] {
        for message in [
            PeerMessage::Bound { link, path: path(0), worker: WorkerId(1), at: now },
            PeerMessage::Unbound { link, path: path(0) },
            PeerMessage::Nack { layer: gone, link, lost },
            PeerMessage::Pli { layer: gone },
            PeerMessage::Heard { layer: gone, extended: u64::MAX },
        ] {
            world.workers[0].handle_peer(message, now, &mut world.outbox);
        }
    }
    assert!(world.outbox.is_empty());
    assert_eq!(world.workers[0].path(0), None);
}

#[test]
fn a_links_place_can_be_given_to_another_while_the_network_was_not_told_yet() {
    let mut world = World::new(1);
    world.add_link(link(0), Kind::Audio);
    world.check(0, 0);
    world.take();
    world.order(Order::RemoveLink(link(0)));
    world.add_link(LinkId { index: 0, generation: 2 }, Kind::Video);
    world.exchange();
    assert_eq!(world.take().1, [LinkChange::Unbind { link: 0 }]);
    world.check(0, 0);
    let bind = LinkChange::Bind { link: 0, kind: Kind::Video, path: path(0) };
    assert_eq!(world.take().1, [bind]);
}

#[test]
fn a_link_does_not_move_back_and_forth_faster_than_workers_should_hear_of() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Audio);
    for round in 0..100 {
        world.check_from(0, 0, path_at(9_000 + round % 2));
        world.now += Duration::from_millis(1);
    }
    let moves = world.take().0.len();
    assert_eq!(moves, 2);
    assert_eq!(world.drops(DropReason::CheckLimit), 49);
}

#[test]
fn checks_in_a_row_are_answered_each_and_told_to_other_workers_ten_times_a_second() {
    let mut world = World::new(2);
    world.add_link(link(0), Kind::Audio);
    let mut told = 0;
    for _ in 0..200 {
        let check = check(0, PASSWORD);
        let arrival = Arrival {
            path: path(0),
            slot: SlotId(0),
            offset: 0,
            bytes: &check,
            segment: 0,
            mark: 0,
        };
        world.workers[0].handle_arrival(arrival, world.now, &mut world.outbox);
        told += std::iter::from_fn(|| world.workers[0].poll_peer()).count();
        world.now += Duration::from_millis(10);
    }
    assert_eq!((told, world.own().len()), (20, 200));
}
