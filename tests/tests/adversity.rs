//! Media survives what real networks do.
#![allow(clippy::unwrap_used, missing_docs)]

use client::{IpChoice, TransportChoice};
use std::time::{Duration, Instant};
use tests::is_root;
use tests::meeting::{Meeting, Seat, assert_complete, sources};
use tests::scene::Scene;
use wire::Transport;
use wire::mark::Marks;

fn auto() -> [Seat; 1] {
    [Seat { name: "recorder".into(), transport: TransportChoice::Auto, ip: IpChoice::V4 }]
}

/// Plays the whole clips to one recorder that takes the transport it gets; answers which it was.
fn play_blocked(blocked: &[&str]) -> Vec<Transport> {
    let meeting = Meeting::start(|_| {});
    for matching in blocked {
        meeting.wire.left.block(matching);
    }
    let duration = Duration::from_secs(3);
    let (sent, recorded) =
        meeting.wire.right.block_on(meeting.play(sources(), duration, &auto(), async {}));
    assert_complete(&sent, &sources(), &recorded[0]);
    recorded[0].links.iter().map(|link| link.transport).collect()
}

#[test]
fn an_open_network_takes_udp() {
    if is_root() {
        assert_eq!(play_blocked(&[]), [Transport::Udp; 3]);
    }
}

#[test]
fn blocked_udp_ends_on_tcp() {
    if is_root() {
        assert_eq!(play_blocked(&["udp dport 8801"]), [Transport::Tcp; 3]);
    }
}

#[test]
fn blocked_udp_and_tcp_8801_end_on_tls() {
    if is_root() {
        assert_eq!(play_blocked(&["udp dport 8801", "tcp dport 8801"]), [Transport::Tls; 3]);
    }
}

#[test]
fn five_percent_loss_both_ways_is_repaired_to_the_last_byte() {
    if !is_root() {
        return;
    }
    let meeting = Meeting::start(|_| {});
    let loss = "meta l4proto udp numgen random mod 100 < 5";
    meeting.wire.left.block(loss);
    meeting.wire.right.block(loss);
    let duration = Duration::from_secs(10);
    let (sent, recorded) =
        meeting.wire.right.block_on(meeting.play(sources(), duration, &auto(), async {}));
    assert_complete(&sent, &sources(), &recorded[0]);
    let repaired: u64 = recorded[0].streams.iter().map(|stream| stream.packets.repaired).sum();
    assert!(repaired > 10, "no packet was lost: {repaired}");
}

#[test]
fn a_reload_of_certificates_keys_and_marks_loses_no_packet() {
    if !is_root() {
        return;
    }
    let meeting = Meeting::start(|_| {});
    let reload = async {
        let mut config = meeting.config.clone();
        for marks in [Marks::ZOOM, Marks::OFF, Marks::DEFAULT] {
            tokio::time::sleep(Duration::from_millis(500)).await;
            config.marks = marks;
            meeting.daemon.reload(&config).await.unwrap();
        }
    };
    let duration = Duration::from_secs(3);
    let (sent, recorded) =
        meeting.wire.right.block_on(meeting.play(sources(), duration, &auto(), reload));
    assert_complete(&sent, &sources(), &recorded[0]);
    for stream in &recorded[0].streams {
        assert_eq!(stream.packets.lost_before_repair, 0, "{stream:?}");
        // The reload did reach the packets.
        let seen: Vec<u8> = stream.dscp.unwrap().iter().collect();
        let mut expected =
            [Marks::OFF, Marks::DEFAULT, Marks::ZOOM].map(|marks| marks.of(stream.kind).value());
        expected.sort_unstable();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_subscriber_30_seconds_after_its_last_consent() {
    let mut scene = Scene::new(256_000).await;
    scene.pair.subscriber.bind();
    let consent = Instant::now();
    let mut last_heard = Duration::ZERO;
    while consent.elapsed() < Duration::from_secs(35) {
        // The publisher goes on proving its own consent, and sending.
        scene.pair.publisher.bind();
        let packet = scene.pair.next_packet();
        scene.pair.publisher.socket.send(&packet).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if scene.pair.subscriber.receive().is_some() {
            last_heard = consent.elapsed();
        }
    }
    assert!(last_heard > Duration::from_secs(25), "silent too early: {last_heard:?}");
    assert!(last_heard < Duration::from_secs(31), "still sending: {last_heard:?}");
    scene.stats_when("unbound drops", |stats| tests::scene::drops(stats, "unbound") > 0).await;
    scene.daemon.stop().await;
}
