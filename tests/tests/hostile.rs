//! What a hostile peer can do over UDP: nothing but be counted.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::UdpSocket;
use tests::raw::{RawLink, rtp};
use tests::scene::{Scene, drops};
use wire::Ssrc;
use wire::demux::{Class, classify};

/// Well above what the scene sends.
const BITRATE: u32 = 256_000;

/// Who attacks: the MMR says nothing at all to a stranger, and to a member only what it says anyway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attacker {
    Stranger,
    Member,
}
use Attacker::{Member, Stranger};

/// Sends `packets` from `socket`, sees each counted under `reason`, no answer to any, and media still flowing.
async fn attack(
    scene: &mut Scene,
    attacker: Attacker,
    socket: &UdpSocket,
    packets: &[Vec<u8>],
    reason: &str,
) {
    answers(socket);
    let before = drops(&scene.daemon.stats().await.unwrap(), reason);
    for packet in packets {
        socket.send(packet).unwrap();
    }
    scene.dropped(reason, before, packets.len() as u64).await;
    for answer in answers(socket) {
        // Receiver reports and NACKs go to every publisher, whatever it sends.
        assert!(
            attacker == Member && classify(&answer) == Some(Class::Rtcp),
            "an answer to {reason}: {answer:?}"
        );
    }
    scene.pair.assert_media_flows();
}

/// Everything that has come and comes within the socket's patience.
fn answers(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2048];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|len| buffer[..len].to_vec())).collect()
}

#[tokio::test]
async fn garbage_from_a_stranger_is_counted_and_not_answered() {
    let mut scene = Scene::new(BITRATE).await;
    let stranger = RawLink::socket(scene.udp());
    let garbage = [vec![], vec![0xff], vec![70; 40], vec![255; 1400]];
    attack(&mut scene, Stranger, &stranger, &garbage, "malformed").await;
    let media = rtp(scene.pair.ssrc, 1, 80);
    attack(&mut scene, Stranger, &stranger, &[media], "stranger").await;
    scene.daemon.stop().await;
}

#[tokio::test]
async fn truncated_and_oversized_packets_of_a_member_are_counted() {
    let mut scene = Scene::new(BITRATE).await;
    let member = scene.pair.publisher.socket.try_clone().unwrap();
    let whole = rtp(scene.pair.ssrc, 9000, 80);
    let mut lying_extension = whole.clone();
    lying_extension[0] |= 0x10;
    lying_extension[14..16].copy_from_slice(&[0xff, 0xff]);
    let truncated = [whole[..11].to_vec(), lying_extension];
    attack(&mut scene, Member, &member, &truncated, "malformed").await;
    let oversized = rtp(scene.pair.ssrc, 9001, 4000);
    attack(&mut scene, Member, &member, &[oversized], "oversized").await;
    scene.daemon.stop().await;
}

#[tokio::test]
async fn stun_without_the_right_password_is_never_answered() {
    let mut scene = Scene::new(BITRATE).await;
    let stranger = RawLink::socket(scene.udp());
    let right = (scene.pair.publisher.ufrag.clone(), scene.pair.publisher.password.clone());
    let request = |ufrag: &str, password: &str| {
        let mut bytes = Vec::new();
        let transaction = wire::stun::TransactionId([1; 12]);
        wire::stun::write_request(transaction, ufrag, "peer", password, &mut bytes);
        bytes
    };
    attack(
        &mut scene,
        Stranger,
        &stranger,
        &[request(&right.0, "wrong-password-wrong-pass")],
        "stun_forged",
    )
    .await;
    attack(&mut scene, Stranger, &stranger, &[request("AAAAAAAA", &right.1)], "unknown_ufrag")
        .await;
    // A header alone: a binding request with no integrity at all.
    let mut bare = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bare.extend([5; 12]);
    attack(&mut scene, Stranger, &stranger, &[bare], "malformed").await;
    scene.daemon.stop().await;
}

#[tokio::test]
async fn the_label_of_another_participant_is_refused() {
    let mut scene = Scene::new(BITRATE).await;
    let thief = scene.pair.subscriber.socket.try_clone().unwrap();
    let stolen = rtp(scene.pair.ssrc, 20_000, 80);
    let before = drops(&scene.daemon.stats().await.unwrap(), "wrong_ssrc");
    thief.send(&stolen).unwrap();
    scene.dropped("wrong_ssrc", before, 1).await;
    let unknown = rtp(Ssrc(0x0bad_0bad), 1, 80);
    let member = scene.pair.publisher.socket.try_clone().unwrap();
    attack(&mut scene, Member, &member, &[unknown], "wrong_ssrc").await;
    scene.daemon.stop().await;
}

#[tokio::test]
async fn a_replayed_packet_reaches_nobody_twice() {
    let mut scene = Scene::new(BITRATE).await;
    let member = scene.pair.publisher.socket.try_clone().unwrap();
    let packet = scene.pair.next_packet();
    member.send(&packet).unwrap();
    assert_eq!(scene.pair.subscriber.receive_rtp().unwrap(), packet);
    attack(&mut scene, Member, &member, &vec![packet; 5], "duplicate").await;
    scene.daemon.stop().await;
}

#[tokio::test]
async fn more_than_was_declared_is_dropped() {
    let mut scene = Scene::new(8_000).await;
    let member = scene.pair.publisher.socket.try_clone().unwrap();
    let before = drops(&scene.daemon.stats().await.unwrap(), "over_rate");
    // A megabit at once where 8 kbit/s were declared.
    for _ in 0..120 {
        let mut packet = scene.pair.next_packet();
        packet.resize(1100, 0);
        member.send(&packet).unwrap();
    }
    scene.dropped("over_rate", before, 60).await;
    while scene.pair.subscriber.receive_rtp().is_some() {}
    scene.pair.assert_media_flows();
    scene.daemon.stop().await;
}

#[tokio::test]
async fn media_from_a_new_address_moves_nothing_before_a_check() {
    let mut scene = Scene::new(BITRATE).await;
    let elsewhere = RawLink::socket(scene.udp());
    let packets: Vec<_> = (0..10).map(|_| scene.pair.next_packet()).collect();
    attack(&mut scene, Stranger, &elsewhere, &packets, "stranger").await;
    // With a check it moves, and the old address is a stranger from then on.
    let old = std::mem::replace(&mut scene.pair.publisher.socket, elsewhere);
    scene.pair.publisher.bind();
    scene.pair.assert_media_flows();
    attack(&mut scene, Stranger, &old, &packets, "stranger").await;
    scene.daemon.stop().await;
}

#[tokio::test]
async fn rtcp_that_is_not_authentic_does_nothing() {
    let mut scene = Scene::new(BITRATE).await;
    let member = scene.pair.subscriber.socket.try_clone().unwrap();
    let mut forged = scene.pair.subscriber.nack(scene.pair.ssrc, 1);
    *forged.last_mut().unwrap() ^= 1;
    let garbage = {
        let mut bytes = vec![0x81, 205, 0, 3];
        bytes.resize(60, 0xee);
        bytes
    };
    attack(&mut scene, Member, &member, &[forged, garbage], "rtcp_forged").await;
    let nack = scene.pair.subscriber.nack(scene.pair.ssrc, 1);
    member.send(&nack).unwrap();
    scene.pair.subscriber.receive_rtp();
    attack(&mut scene, Member, &member, &[nack], "rtcp_replayed").await;
    scene.daemon.stop().await;
}
