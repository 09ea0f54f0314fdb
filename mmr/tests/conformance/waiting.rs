//! How long a network waits, and what ends the waiting.

use crate::bed::{Bed, Family, PATIENCE, Which, packet};
use rstest::rstest;
use std::thread;
use std::time::{Duration, Instant};

#[rstest]
fn waiting_ends_at_the_deadline_and_not_before(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    for wait in [3, 20] {
        let deadline = Instant::now() + Duration::from_millis(wait);
        let now = loop {
            let now = bed.receive_until(deadline);
            // A first turn may return early: it arms things.
            if now >= deadline {
                break now;
            }
        };
        assert!(bed.inbox.is_empty());
        assert!(now < deadline + PATIENCE);
    }
}

#[rstest]
fn a_deadline_that_passed_is_not_waited_for(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    let begin = Instant::now();
    for _ in 0..1_000 {
        bed.receive_until(begin);
    }
    bed.arrive(&packet(1, 10));
    while bed.inbox.is_empty() {
        bed.receive_until(begin);
    }
    assert!(begin.elapsed() < PATIENCE, "1,000 turns without a wait");
}

#[rstest]
fn a_rung_waker_ends_the_waiting(
    #[values(Which::Uring, Which::Poll, Which::Simulated)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    for _ in 0..10 {
        bed.waker.write(1).unwrap();
        let deadline = Instant::now() + PATIENCE;
        assert!(bed.receive_until(deadline) < deadline);
        bed.waker.read().unwrap();
    }
}

#[rstest]
fn a_waker_rung_by_another_thread_ends_the_waiting(
    #[values(Which::Uring, Which::Poll)] which: Which,
) {
    let mut bed = Bed::new(which, Family::V4);
    for _ in 0..50 {
        let deadline = Instant::now() + PATIENCE;
        thread::scope(|scope| {
            let bell = nix::unistd::dup(&bed.waker).unwrap();
            scope.spawn(move || nix::unistd::write(&bell, &1u64.to_ne_bytes()).unwrap());
            while bed.waker.read().is_err() {
                assert!(bed.receive_until(deadline) < deadline, "slept through the bell");
            }
        });
    }
}

#[rstest]
fn a_packet_ends_the_waiting(#[values(Which::Uring, Which::Poll)] which: Which) {
    let mut bed = Bed::new(which, Family::V4);
    let (to, path) = (bed.address, bed.path());
    for n in 0..50 {
        let deadline = Instant::now() + PATIENCE;
        thread::scope(|scope| {
            scope.spawn(|| {
                let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                stranger.send_to(&packet(n, 64), to).unwrap();
            });
            while bed.inbox.is_empty() {
                assert!(bed.receive_until(deadline) < deadline, "slept through a packet");
            }
        });
        assert_eq!(bed.inbox.arrival(0).bytes, packet(n, 64));
        assert_ne!(bed.inbox.arrival(0).path, path, "it is not the peer's");
        bed.inbox.recycle();
    }
}
