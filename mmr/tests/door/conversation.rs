//! What well-behaved clients see.

use crate::rig::{Plan, connection_of, number_of, rtp};
use mmr::network::BackendChoice::{self, Poll, Uring};
use router::Path;
use rstest::rstest;
use std::io::Write;
use std::time::Instant;
use wire::framing::frame;
use wire::{Kind, Transport};

#[rstest]
fn packets_go_both_ways_unchanged(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
    #[values(false, true)] ipv6: bool,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut client = rig.connect_by(transport, ipv6);
    client.check(Kind::Video);
    assert_eq!(rig.open_connections(), 1);
    for number in 0..500 {
        client.send(&rtp(number, 16 + usize::try_from(number).unwrap() * 2));
    }
    let remote = client.socket().local_addr().unwrap();
    for number in 0..500 {
        let (_, path, packet) = rig.packet();
        assert_eq!(packet, rtp(number, 16 + usize::try_from(number).unwrap() * 2));
        assert!(
            matches!(path, Path::Stream { transport: t, remote: r, .. } if (t, r) == (transport, remote))
        );
        rig.transmit(connection_of(path), Kind::Video, &packet, Instant::now());
    }
    for number in 0..500 {
        let packet = client.receive().unwrap();
        assert_eq!(packet, rtp(number, 16 + usize::try_from(number).unwrap() * 2));
    }
    drop(client);
    let path = rig.closed();
    assert_eq!(path.remote(), remote);
    rig.assert_rest();
}

#[rstest]
fn a_connection_belongs_to_one_worker(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = (Plan { workers: 3, ..Plan::new(backend) }).open() else { return };
    for _ in 0..9 {
        let mut client = rig.connect(Transport::Tcp);
        client.check(Kind::Audio);
        client.send(&rtp(0, 100));
        let (worker, path, _) = rig.packet();
        assert_eq!(u64::try_from(worker).unwrap(), connection_of(path).0 % 3);
        drop(client);
        rig.closed();
    }
}

#[rstest]
fn frames_cut_anywhere_arrive_whole(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut client = rig.connect(transport);
    client.check(Kind::Audio);
    let mut bytes = Vec::new();
    (0..20).for_each(|number| frame(&rtp(number, 100), &mut bytes));
    for piece in bytes.chunks(7) {
        client.write_all(piece).unwrap();
    }
    for number in 0..20 {
        assert_eq!(number_of(&rig.packet().2), number);
    }
}

#[rstest]
fn media_behind_the_handshake_in_one_segment_is_not_lost(
    #[values(Uring, Poll)] backend: BackendChoice,
) {
    // The check is written before the handshake is complete: rustls sends both at once.
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut client = rig.connect(Transport::Tls);
    client.send_check(Kind::Content, crate::rig::PASSWORD);
    assert!(client.receive().is_ok());
}
