//! What strangers and bad clients get: counted, closed or ignored, and nobody else disturbed.

use crate::rig::{Client, Heard, Plan, Rig, rtp, until};
use mmr::exchange::STREAM_INBOX_MAX;
use mmr::network::BackendChoice::{self, Poll, Uring};
use router::DropReason;
use rstest::rstest;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wire::limits::PACKET_LEN_MAX;
use wire::{Kind, Transport};

fn short(backend: BackendChoice) -> Option<Rig> {
    Plan::new(backend).limits(|limits| limits.first_message = Duration::from_millis(100)).open()
}

#[rstest]
fn a_first_frame_that_is_no_check_ends_the_connection(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
    #[values(vec![0xff; 40], rtp(0, 200), b"GET / HTTP/1.1\r\n\r\n".to_vec())] first: Vec<u8>,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut client = rig.connect(transport);
    client.send(&first);
    client.assert_closed();
    until("it is counted", || (rig.drops(DropReason::Malformed), rig.refused()) == (1, 1));
    rig.assert_rest();
    assert!(rig.heard.try_recv().is_err(), "no worker heard of it");
}

#[rstest]
fn an_oversized_frame_ends_its_connection_alone(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
    #[values(PACKET_LEN_MAX + 1, 65_535)] len: usize,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let (mut liar, mut other) = (rig.connect(transport), rig.connect(transport));
    liar.check(Kind::Video);
    other.check(Kind::Video);
    // The door closes at the length already, so the rest may find no reader.
    let _ = liar.write_all(&u16::try_from(len).unwrap().to_be_bytes());
    liar.assert_closed();
    rig.closed();
    until("it is counted", || (rig.drops(DropReason::Oversized), rig.refused()) == (1, 1));
    other.send(&rtp(5, PACKET_LEN_MAX));
    assert_eq!(rig.packet().2, rtp(5, PACKET_LEN_MAX));
}

#[rstest]
fn who_proves_nothing_in_time_is_closed(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let Some(rig) = short(backend) else { return };
    let mut silent = rig.connect(transport);
    if transport == Transport::Tls {
        // Only the handshake.
        silent.flush().unwrap();
    }
    silent.assert_closed();
    until("silence is counted", || rig.refused() == 1);

    let mut forger = rig.connect(transport);
    forger.send_check(Kind::Audio, "the wrong password, alas");
    forger.assert_closed();
    until("the forger is counted", || rig.refused() == 2);
    rig.closed();
    rig.assert_rest();
}

#[rstest]
fn who_goes_before_proving_anything_is_counted(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    drop(rig.connect(transport));
    until("it is counted", || (rig.abandoned(), rig.refused()) == (1, 0));
    let mut client = rig.connect(transport);
    client.check(Kind::Audio);
    drop(client);
    rig.closed();
    rig.assert_rest();
    assert_eq!(rig.abandoned(), 1, "this one had proved itself");
}

#[rstest]
fn a_proved_connection_outlives_the_first_deadline(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = short(backend) else { return };
    let (mut client, mut silent) = (rig.connect(Transport::Tcp), rig.connect(Transport::Tcp));
    client.check(Kind::Audio);
    silent.assert_closed();
    client.send(&rtp(1, 100));
    assert_eq!(rig.packet().2, rtp(1, 100));
}

#[rstest]
fn media_before_the_answer_is_a_strangers(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    rig.asleep.store(true, Ordering::Relaxed);
    let mut client = rig.connect(Transport::Tcp);
    client.send_check(Kind::Video, crate::rig::PASSWORD);
    client.send(&rtp(1, 100));
    until("it is counted", || rig.drops(DropReason::Stranger) == 1);
    rig.asleep.store(false, Ordering::Relaxed);
    client.receive().unwrap();
    client.send(&rtp(2, 100));
    assert_eq!(rig.packet().2, rtp(2, 100));
}

#[rstest]
fn endless_checks_end_the_connection(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut client = rig.connect(Transport::Tcp);
    for _ in 0..64 {
        client.send_check(Kind::Audio, "the wrong password, alas");
    }
    until("it is in", || rig.open_connections() == 1);
    client.send_check(Kind::Audio, "the wrong password, alas");
    client.assert_closed();
    rig.assert_rest();
}

#[rstest]
fn silence_ends_a_proved_connection(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let plan = Plan::new(backend).limits(|limits| limits.silence = Duration::from_millis(150));
    let Some(rig) = plan.open() else { return };
    let mut client = rig.connect(transport);
    client.check(Kind::Audio);
    client.assert_closed();
    rig.closed();
    rig.assert_rest();
}

#[rstest]
fn caps_hold_per_source_and_in_all(#[values(Uring, Poll)] backend: BackendChoice) {
    let plan = Plan::new(backend).limits(|limits| {
        limits.half_open_per_source = 3;
        limits.half_open = 4;
        limits.connections = 6;
    });
    let Some(rig) = plan.open() else { return };
    let mut clients: Vec<Client> = (0..3).map(|_| rig.connect(Transport::Tcp)).collect();
    until("all are in", || rig.open_connections() == 3);
    rig.connect(Transport::Tcp).assert_closed();
    until("per source", || rig.refused() == 1);

    clients.push(rig.connect_by(Transport::Tls, true));
    until("another source is let in", || rig.open_connections() == 4);
    rig.connect_by(Transport::Tcp, true).assert_closed();
    until("half-open in all", || rig.refused() == 2);

    clients.iter_mut().for_each(|client| client.check(Kind::Audio));
    clients.push(rig.connect(Transport::Tcp));
    clients.push(rig.connect(Transport::Tcp));
    until("proved ones count no more", || rig.open_connections() == 6);
    rig.connect(Transport::Tcp).assert_closed();
    until("connections in all", || rig.refused() == 3);

    clients.clear();
    rig.assert_rest();
    rig.connect(Transport::Tcp).check(Kind::Audio);
}

#[rstest]
fn a_full_inbox_drops_and_counts(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut client = rig.connect(Transport::Tcp);
    client.check(Kind::Video);
    rig.asleep.store(true, Ordering::Relaxed);
    // Lets the worker notice.
    until("the worker sleeps", || rig.exchange.workers[0].inbox.is_empty());
    let sent = STREAM_INBOX_MAX as u64 + 500;
    for number in 0..sent {
        client.send(&rtp(u32::try_from(number).unwrap(), 100));
    }
    until("the rest is counted", || rig.drops(DropReason::StreamInboxFull) >= 400);
    // The end is not lost though the inbox is full.
    drop(client);
    rig.asleep.store(false, Ordering::Relaxed);
    let mut heard = 0;
    while let Heard::Packet { .. } = rig.heard.recv_timeout(crate::rig::PATIENCE).unwrap() {
        heard += 1;
    }
    assert_eq!(heard + rig.drops(DropReason::StreamInboxFull), sent);
    rig.assert_rest();
}
