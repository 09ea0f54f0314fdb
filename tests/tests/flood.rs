//! A million hostile datagrams: every one that was heard is counted, memory does not grow, media goes on.
//!
//! Alone in its file, so that no other test shares the process whose memory it watches.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::UdpSocket;
use tests::raw::{RawLink, rtp};
use tests::scene::Scene;
use wire::Ssrc;

const ATTACKS: u64 = 1_000_000;
/// Headroom for allocator noise; a leak of a single byte per datagram would pass a megabyte.
const GROWTH_MAX: u64 = 4 << 20;

#[tokio::test]
async fn a_million_hostile_datagrams_leave_no_trace_but_counts() {
    let mut scene = Scene::new(256_000).await;
    let stranger = RawLink::socket(scene.udp());
    let member = scene.pair.publisher.socket.try_clone().unwrap();
    let volley = volley(&mut scene);
    // The first tenth warms caches and lazily touched tables up.
    flood(&scene, &stranger, &member, &volley, ATTACKS / 10).await;
    let before = resident_bytes();
    flood(&scene, &stranger, &member, &volley, ATTACKS).await;
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "memory grew by {growth} bytes");
    scene.pair.assert_media_flows();
    scene.daemon.stop().await;
}

/// One of each: what strangers send, and what the member sends.
fn volley(scene: &mut Scene) -> [Vec<Vec<u8>>; 2] {
    let mut check = scene.pair.publisher.check();
    let integrity = check.len() - 12;
    check[integrity] ^= 1;
    let replay = scene.pair.next_packet();
    scene.pair.publisher.socket.send(&replay).unwrap();
    let mut forged = scene.pair.publisher.nack(scene.pair.ssrc, 1);
    *forged.last_mut().unwrap() ^= 1;
    let strangers = vec![
        vec![0xff; 300],
        vec![0, 1, 0, 8],
        check,
        rtp(scene.pair.ssrc, 7, 600),
        vec![0x80, 201, 0, 1],
    ];
    let members = vec![
        replay,
        forged,
        rtp(Ssrc(0x0bad_0bad), 1, 90),
        rtp(scene.pair.ssrc, 9, 3000),
        vec![0x9f; 30],
    ];
    [strangers, members]
}

/// Sends until `count` more packets were dropped. The kernel drops some before the router hears them.
async fn flood(
    scene: &Scene,
    stranger: &UdpSocket,
    member: &UdpSocket,
    [strangers, members]: &[Vec<Vec<u8>>; 2],
    count: u64,
) {
    let dropped = |stats: &wire::stats::Stats| -> u64 {
        stats.workers.iter().flat_map(|worker| worker.drops.values()).sum()
    };
    let goal = dropped(&scene.daemon.stats().await.unwrap()) + count;
    while dropped(&scene.daemon.stats().await.unwrap()) < goal {
        for _ in 0..5_000 {
            for (strange, known) in strangers.iter().zip(members) {
                stranger.send(strange).unwrap();
                member.send(known).unwrap();
            }
        }
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
