//! What leaves.

use crate::bed::{Bed, Family, LINKS, Which, packet, train};
use mmr::network::LinkError;
use router::{ConnectionId, DropReason, LinkChange, Path};
use rstest::rstest;
use std::net::UdpSocket;
use wire::mark::Marks;
use wire::{Kind, Transport};

#[rstest]
fn a_packet_is_forwarded_byte_for_byte(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    bed.bind(3, Kind::Video);
    bed.arrive(&packet(1, 1_200));
    bed.receive();
    bed.forward(0, 3, Kind::Video, 1_200);
    bed.transmit();
    assert_eq!(bed.heard().0, packet(1, 1_200));
    assert_eq!(bed.drops.total(), 0);
}

#[rstest]
fn a_train_leaves_as_its_packets(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    bed.bind(0, Kind::Video);
    let mut packets: Vec<_> = (0..20).map(|n| packet(n, 1_100)).collect();
    packets.push(packet(20, 5));
    bed.arrive_train(&train(&packets), 1_100);
    bed.receive();
    bed.forward(0, 0, Kind::Video, 1_100);
    bed.transmit();
    for packet in &packets {
        assert!(bed.heard().0 == *packet);
    }
    assert_eq!(bed.heard_now(), None);
    assert_eq!(bed.counters().gso_refused, 0);
}

#[rstest]
fn a_train_longer_than_the_kernel_takes_is_cut(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(100, 701, 1_490)] segment: u16,
) {
    let mut bed = Bed::new(which, Family::V4);
    bed.bind(0, Kind::Video);
    let sent = packet(7, 65_500);
    bed.arrive(&sent);
    bed.receive();
    bed.forward(0, 0, Kind::Video, segment);
    bed.transmit();
    for part in sent.chunks(usize::from(segment)) {
        assert!(bed.heard().0 == part);
    }
    assert_eq!(bed.drops.total(), 0);
}

#[rstest]
fn more_than_a_batch_leaves_in_order(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    bed.bind(0, Kind::Video);
    for n in 0..2_500 {
        bed.reply(0, Kind::Video, &packet(n, 40));
    }
    bed.transmit();
    for n in 0..2_500 {
        assert!(bed.heard().0 == packet(n, 40), "packet {n}");
    }
    assert_eq!(bed.drops.total(), 0);
}

#[rstest]
fn every_kind_has_its_mark_and_marks_can_change(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    for marks in [Marks::DEFAULT, Marks::ZOOM, Marks::OFF, Marks::DEFAULT] {
        bed.apply(LinkChange::Mark(marks)).unwrap();
        for kind in Kind::ALL {
            bed.bind(1, kind);
            bed.reply(1, kind, b"single");
            bed.transmit();
            assert_eq!(bed.heard().1, marks.of(kind).traffic_class(), "{kind}");
            bed.arrive_train(&[1; 300], 100);
            bed.receive();
            bed.forward(0, 1, kind, 100);
            bed.transmit();
            for _ in 0..3 {
                assert_eq!(bed.heard().1, marks.of(kind).traffic_class(), "{kind}, train");
            }
        }
    }
}

#[rstest]
fn a_mark_does_not_depend_on_what_most_packets_have(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    bed.bind(1, Kind::Video);
    for marks in [Marks::DEFAULT, Marks::ZOOM, Marks::OFF] {
        bed.apply(LinkChange::Mark(marks)).unwrap();
        for bulk in Kind::ALL {
            bed.arrive(&packet(1, 200));
            bed.receive();
            let count = |kind| if kind == bulk { 40 } else { 2 };
            for kind in [Kind::Video, Kind::Audio, Kind::Content] {
                (0..count(kind)).for_each(|_| bed.forward(0, 1, kind, 200));
            }
            bed.transmit();
            for kind in [Kind::Audio, Kind::Content, Kind::Video] {
                for _ in 0..count(kind) {
                    let mark = bed.heard().1;
                    assert_eq!(mark, marks.of(kind).traffic_class(), "{kind} among {bulk}");
                }
            }
        }
    }
}

#[rstest]
fn trains_of_all_sizes_follow_each_other(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    bed.bind(0, Kind::Video);
    for size in [1_200, 300, 700, 1_200] {
        let packets: Vec<_> = (0..4).map(|n| packet(n, if n < 3 { size } else { 90 })).collect();
        bed.arrive(&train(&packets));
        let single = packet(4, size + 100);
        bed.arrive(&single);
        bed.receive();
        assert_eq!(bed.inbox.len(), 2);
        let segment = u16::try_from(size).unwrap();
        (0..20).for_each(|_| bed.forward(0, 0, Kind::Video, segment));
        (0..20).for_each(|_| bed.forward(1, 0, Kind::Video, segment + 100));
        (0..2).for_each(|_| bed.forward(0, 0, Kind::Video, segment));
        bed.forward(1, 0, Kind::Video, segment + 100);
        bed.transmit();
        let trains = |count: usize| packets.iter().cycle().take(4 * count);
        let singles = |count| std::iter::repeat_n(&single, count);
        for expected in trains(20).chain(singles(20)).chain(trains(2)).chain(singles(1)) {
            assert!(bed.heard().0 == *expected, "{size}");
        }
    }
    assert_eq!(bed.drops.total(), 0);
}

#[rstest]
fn replies_leave_first_then_audio_content_and_video(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    bed.bind(0, Kind::Video);
    for n in 0..3 {
        bed.arrive(&packet(n, 50));
    }
    while bed.inbox.len() < 3 {
        bed.receive();
        if bed.inbox.len() < 3 {
            // They came over two turns: once more, together.
            (0..3).for_each(|n| bed.arrive(&packet(n, 50)));
        }
    }
    bed.forward(0, 0, Kind::Video, 50);
    bed.forward(1, 0, Kind::Content, 50);
    bed.forward(2, 0, Kind::Audio, 50);
    bed.reply(0, Kind::Video, b"reply");
    bed.transmit();
    assert_eq!(bed.heard().0, b"reply");
    for n in [2, 1, 0] {
        assert_eq!(bed.heard().0, packet(n, 50));
    }
}

#[rstest]
fn nothing_leaves_for_an_unbound_link(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    bed.bind(2, Kind::Audio);
    bed.apply(LinkChange::Unbind { link: 2 }).unwrap();
    bed.arrive_train(&[7; 500], 100);
    bed.receive();
    bed.forward(0, 2, Kind::Audio, 100);
    bed.reply(LINKS + 1, Kind::Audio, b"no such link");
    bed.transmit();
    assert_eq!(bed.heard_now(), None);
    assert_eq!(bed.drops.of(DropReason::Unbound), 6, "each packet is counted");
}

#[rstest]
fn a_link_bound_anew_is_reached_at_its_new_address(
    #[values(Which::Uring, Which::Poll)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    let moved = UdpSocket::bind("127.0.0.1:0").unwrap();
    moved.set_read_timeout(Some(crate::bed::PATIENCE)).unwrap();
    bed.bind(0, Kind::Audio);
    let path = Path::Udp { socket: 0, remote: moved.local_addr().unwrap() };
    bed.apply(LinkChange::Bind { link: 0, kind: Kind::Audio, path }).unwrap();
    bed.reply(0, Kind::Audio, b"found");
    bed.transmit();
    let mut heard = [0; 16];
    let (len, from) = moved.recv_from(&mut heard).unwrap();
    assert_eq!((&heard[..len], from), (&b"found"[..], bed.address));
    assert_eq!(bed.heard_now(), None);
}

#[rstest]
fn changes_that_do_not_fit_are_refused(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    let mut bind = |link, path| bed.apply(LinkChange::Bind { link, kind: Kind::Audio, path });
    let v4 = "192.0.2.1:5".parse().unwrap();
    let v6 = "[2001:db8::1]:5".parse().unwrap();
    let udp = |socket, remote| Path::Udp { socket, remote };
    let (connection, transport) = (ConnectionId(1), Transport::Tcp);
    let stream = Path::Stream { connection, transport, remote: v4 };
    assert_eq!(bind(LINKS, udp(0, v4)), Err(LinkError::NoSuchLink(LINKS)));
    assert_eq!(bind(0, udp(1, v4)), Err(LinkError::NoSuchSocket(1)));
    assert_eq!(bind(0, udp(0, v6)), Err(LinkError::OtherFamily { socket: 0, remote: v6 }));
    assert_eq!(bind(0, stream), Err(LinkError::NotUdp));
    assert_eq!(bind(0, udp(0, v4)), Ok(()));
}

#[rstest]
fn what_the_kernel_refuses_is_counted(#[values(Which::Uring, Which::Poll)] which: Which) {
    let mut bed = Bed::new(which, Family::V4);
    // Port 0 is no destination: EINVAL. The packets around it leave.
    let path = Path::Udp { socket: 0, remote: "127.0.0.1:0".parse().unwrap() };
    bed.apply(LinkChange::Bind { link: 5, kind: Kind::Audio, path }).unwrap();
    bed.bind(0, Kind::Audio);
    for (link, text) in [(0, b"one"), (5, b"---"), (0, b"two"), (5, b"---"), (0, b"end")] {
        bed.reply(link, Kind::Audio, text);
    }
    bed.transmit();
    for text in [b"one", b"two", b"end"] {
        assert_eq!(bed.heard().0, text);
    }
    assert_eq!(bed.drops.of(DropReason::SendFailed), 2);
    assert_eq!(bed.drops.total(), 2);
}
