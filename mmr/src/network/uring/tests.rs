//! What the suite for all networks cannot see: who owns the slots when a ring comes and goes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::buffers::BufferRing;
use super::*;
use crate::packet::Slot;
use nix::sys::eventfd::{EfdFlags, EventFd};
use router::SlotId;
use wire::mark::Marks;

fn network(socket: &UdpSocket, slots: u16) -> UringNetwork {
    let sockets = vec![socket.try_clone().unwrap()];
    let waker = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap().into();
    let config = NetworkConfig { sockets, waker, links: 1, marks: Marks::OFF };
    UringNetwork::new(config, slots).expect("these tests need io_uring")
}

#[test]
fn rings_come_and_go_while_packets_arrive() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    for round in 0..50 {
        let mut inbox = Inbox::new(16, 2_048);
        let mut network = network(&socket, 16);
        for turn in 0..8 {
            for _ in 0..6 {
                peer.send(&[turn; 1_000]).unwrap();
            }
            network.receive(Instant::now(), &mut inbox).unwrap();
            for index in 0..inbox.len() {
                let bytes = inbox.arrival(index).bytes;
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "round {round}: torn");
            }
        }
        // Dropped with receptions under way, slots lent, and slots in the inbox.
    }
}

#[test]
fn all_slots_are_free_again_when_the_network_rests() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    let (mut inbox, mut network) = (Inbox::new(8, 2_048), network(&socket, 8));
    // Many times around the ring of 8 entries, and around its 16-bit count.
    let mut received = 0;
    while received < 70_000 {
        for _ in 0..8 {
            peer.send(b"packet").unwrap();
        }
        network.receive(Instant::now(), &mut inbox).unwrap();
        received += inbox.len();
    }
    // All lent slots can still be filled at once.
    while !inbox.is_empty() {
        network.receive(Instant::now(), &mut inbox).unwrap();
    }
    for _ in 0..8 {
        peer.send(b"packet").unwrap();
    }
    network.receive(Instant::now(), &mut inbox).unwrap();
    assert_eq!(inbox.len(), 8);
}

#[test]
#[should_panic(expected = "two slots of the same number")]
fn a_slot_is_lent_once() {
    let mut buffers = BufferRing::new(4);
    buffers.provide(Slot::new(SlotId(3), 64));
    buffers.provide(Slot::new(SlotId(3), 64));
}

#[test]
fn a_ring_that_was_never_registered_gives_its_memory_back() {
    let mut buffers = BufferRing::new(5);
    for id in 0..5 {
        buffers.provide(Slot::new(SlotId(id), 64));
    }
    buffers.publish();
}
