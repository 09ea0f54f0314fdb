//! What arrives.

use crate::bed::{Bed, Family, Options, SLOTS, Which, packet, train};
use mmr::network::sockets::SocketOptions;
use router::DropReason;
use rstest::rstest;
use std::time::{Duration, Instant};

#[rstest]
fn a_datagram_arrives_whole_and_says_from_where(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    let sent = packet(1, 1_200);
    bed.arrive(&sent);
    bed.receive();
    assert_eq!(bed.inbox.len(), 1);
    let arrival = bed.inbox.arrival(0);
    assert_eq!(arrival.bytes, sent);
    assert_eq!(arrival.segment, 1_200);
    assert_eq!(arrival.path, bed.path());
}

#[rstest]
fn datagrams_arrive_in_the_order_they_were_sent(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    let sent: Vec<_> = (0..5 * usize::from(SLOTS)).map(|n| packet(n, 20 + n)).collect();
    for datagram in &sent {
        bed.arrive(datagram);
    }
    assert!(bed.receive_packets(sent.len()) == sent, "order or content differ");
}

#[rstest]
fn a_train_arrives_as_one_and_says_where_to_cut(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    let mut packets: Vec<_> = (0..10).map(|n| packet(n, 1_200)).collect();
    packets.push(packet(10, 77));
    bed.arrive_train(&train(&packets), 1_200);
    bed.receive();
    assert_eq!(bed.inbox.len(), 1, "a train is one arrival");
    let arrival = bed.inbox.arrival(0);
    assert_eq!(arrival.segment, 1_200);
    assert_eq!(arrival.bytes, train(&packets));
}

#[rstest]
fn the_longest_train_fits_a_slot(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    let packets: Vec<_> = (0..44).map(|n| packet(n, 1_488)).collect();
    bed.arrive_train(&train(&packets), 1_488); // 65,472 bytes of at most 65,507
    assert!(bed.receive_packets(44) == packets);
    assert_eq!(bed.inbox.drops().total(), 0);
}

#[rstest]
fn garbage_of_any_size_arrives_or_is_counted(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    let mut bed = Bed::new(which, family);
    for len in [0, 1, 2, 0, 0, 1_500, 1_501, 9_000, 65_507, 3] {
        bed.arrive(&packet(9, len));
        if len > 0 {
            bed.receive();
            assert_eq!(bed.inbox.arrival(0).bytes, packet(9, len), "{len} bytes");
        }
    }
    assert_eq!(bed.inbox.drops().of(DropReason::Malformed), 3, "empty datagrams are counted");
    assert_eq!(bed.inbox.drops().total(), 3);
}

#[rstest]
fn what_does_not_fit_a_slot_is_counted_and_the_next_arrives(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::with(which, Family::V4, Options { slot_len: 2_000, ..Options::default() });
    bed.arrive(&packet(1, 2_001));
    bed.arrive(&packet(2, 1_200));
    bed.receive();
    assert_eq!(bed.inbox.arrival(0).bytes, packet(2, 1_200));
    assert_eq!(bed.inbox.drops().of(DropReason::Truncated), 1);
}

#[rstest]
fn more_than_there_are_slots_waits_its_turn(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    let count = 3 * usize::from(SLOTS) + 1;
    for n in 0..count {
        bed.arrive(&packet(n, 100));
    }
    bed.receive();
    let taken = bed.inbox.len();
    match which {
        // It lends the kernel more from turn to turn.
        Which::Uring => assert!((1..=usize::from(SLOTS)).contains(&taken), "{taken} taken"),
        _ => assert_eq!(taken, usize::from(SLOTS), "a turn takes in as much as it has slots"),
    }
    let first: Vec<_> = (0..bed.inbox.len()).map(|i| bed.inbox.arrival(i).bytes.to_vec()).collect();
    let rest = bed.receive_packets(count - first.len());
    let expected: Vec<_> = (0..count).map(|n| packet(n, 100)).collect();
    assert!([first, rest].concat() == expected, "order or content differ");
    let overflows = bed.counters().ring_overflows;
    assert_eq!(overflows > 0, which == Which::Uring, "{overflows} overflows of the ring");
}

#[rstest]
fn packets_of_streams_are_adopted_beside_datagrams(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    for round in 0..1_000 {
        bed.arrive(&packet(round, 300));
        bed.receive();
        let (path, now) = (bed.path(), Instant::now());
        while bed.inbox.can_adopt() {
            let index = bed.inbox.adopt(path, &packet(round, 900), now).unwrap();
            assert_eq!(bed.inbox.arrival(index).bytes, packet(round, 900));
        }
        assert_eq!(bed.inbox.adopt(path, &[1; 9], now), None);
        assert_eq!(bed.inbox.arrival(0).bytes, packet(round, 300));
    }
    assert_eq!(bed.inbox.adopt(bed.path(), &[1; 1_501], Instant::now()), None);
}

#[rstest]
fn the_kernel_says_when_it_heard_a_packet(#[values(Which::Uring, Which::Poll)] which: Which) {
    let sockets = SocketOptions { timestamps: true, ..SocketOptions::default() };
    let mut bed = Bed::with(which, Family::V6, Options { sockets, ..Options::default() });
    // A packet is not stamped before the kernel has come to switch stamping on, a moment after it
    // was asked to.
    let stamped = (0..1_000).any(|_| {
        let before = Instant::now();
        bed.arrive(&packet(0, 100));
        std::thread::sleep(Duration::from_millis(5));
        let now = bed.receive();
        let heard_at = bed.inbox.heard_at(bed.inbox.arrival(0).slot);
        assert!(heard_at <= now);
        heard_at < now - Duration::from_millis(4) && heard_at + Duration::from_millis(1) > before
    });
    assert!(stamped);
}

#[rstest]
fn what_the_socket_lost_is_counted(#[values(Which::Uring, Which::Poll)] which: Which) {
    let sockets = SocketOptions { receive_buffer_bytes: 20_000, ..SocketOptions::default() };
    let mut bed = Bed::with(which, Family::V4, Options { sockets, ..Options::default() });
    for n in 0..200 {
        bed.arrive(&packet(n, 1_200));
    }
    let deadline = Instant::now() + crate::bed::PATIENCE;
    let mut received = 0;
    // The kernel tells of its losses with the next packet it takes.
    while bed.counters().kernel_drops == 0 {
        assert!(Instant::now() < deadline, "{received} received, no loss told");
        bed.receive();
        received += bed.inbox.len() as u64;
        bed.arrive(&packet(200, 1_200));
    }
    assert!(bed.counters().kernel_drops <= 200 + received - received.min(200));
}
