//! A real daemon, seeded: while publishers never pause, subscribers come, move, change the IP version and go, and somebody
//! spoofs. Every packet reaches everybody who subscribed, once, byte for byte, whichever plane carries it.
//! `EXPRESS_SEED=n cargo test -p tests --test express simulation` plays one seed.

use crate::crowd::{CALM, Crowd, Publisher, Subscriber};
use crate::daemon::{meeting, sent_by_the_kernel};
use crate::wire_check::{assert_marked, assert_sums};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::net::UdpSocket;
use tests::meeting::Meeting;
use tests::{Capture, Wire, is_root};
use wire::mark::Marks;

/// Comings and goings of one seed.
const STEPS: usize = 16;

async fn play(meeting: &Meeting, seed: u64) {
    let random = StdRng::seed_from_u64(seed);
    let tls = meeting.daemon.addresses().tls[0];
    let mut crowd = Crowd { tls, dev: &meeting.venue.dev, random };
    let mut publishers = [crowd.publish("ann", 0).await, crowd.publish("ben", 1).await];
    let mut there: Vec<(usize, Subscriber)> = Vec::new();
    let mut checked = 0;
    for step in 0..STEPS {
        let publisher = crowd.random.random_range(0..2);
        let ip = if crowd.random.random_ratio(3, 4) { publisher } else { 1 - publisher };
        spoof(&publishers[publisher], meeting);
        match crowd.random.random_range(0..4) {
            0 if !there.is_empty() => {
                let (of, subscriber) = there.remove(crowd.random.random_range(0..there.len()));
                checked += subscriber.leave(&publishers[of]).await;
            }
            1 if !there.is_empty() => {
                let place = crowd.random.random_range(0..there.len());
                let (of, subscriber) = &mut there[place];
                subscriber.rebind(&publishers[*of], ip).await;
            }
            _ => {
                let name = format!("guest-{step}");
                let guest = crowd.subscribe(&name, &publishers[publisher], ip).await;
                there.push((publisher, guest));
            }
        }
    }
    for (of, subscriber) in there {
        checked += subscriber.leave(&publishers[of]).await;
    }
    publishers.iter_mut().for_each(Publisher::stop);
    assert!(checked > 1_000, "{checked} packets were checked");
    drop(publishers);
    tokio::time::sleep(CALM).await;
    let stats = meeting.daemon.stats().await.unwrap();
    // Whoever has left has left the kernel, too.
    assert_eq!(stats.express.routes, 0, "{:?}", stats.express);
    let (kernel, repeated) = (sent_by_the_kernel(&stats), stats.express.outcomes.get("repeated"));
    assert!(kernel > checked / 4, "{kernel} copies by the kernel for {checked} checked");
    assert!(repeated.is_some_and(|count| *count > 0), "{:?}", stats.express.outcomes);
}

/// A stranger with a publisher's label.
fn spoof(publisher: &Publisher, meeting: &Meeting) {
    let to = meeting.daemon.addresses().udp[0];
    let stranger = UdpSocket::bind("0.0.0.0:0").unwrap();
    let packet = tests::raw::rtp(publisher.ssrc, 7, 300);
    stranger.send_to(&packet, to).unwrap();
}

/// Once with checksums left to the devices, once with checksums that are complete.
fn simulate(seed: u64) {
    for offload in ["on", "off"] {
        let meeting = meeting();
        for host in [&meeting.wire.left, &meeting.wire.right] {
            host.command(&format!("ethtool -K wire0 tx {offload}"));
        }
        let mut capture = Capture::start(&meeting.wire.right, Wire::INTERFACE, "udp src port 8801");
        meeting.wire.right.block_on(play(&meeting, seed));
        capture.stop();
        assert_marked(&capture, Marks::DEFAULT.video);
        if offload == "off" {
            assert_sums(&capture);
        }
        meeting.wire.right.block_on(meeting.daemon.stop());
    }
}

#[test]
fn simulation_of_a_crowd_whose_every_packet_comes_once() {
    if !is_root() {
        return;
    }
    let seed = std::env::var("EXPRESS_SEED").map(|seed| seed.parse().expect("a number"));
    let seed = seed.unwrap_or(1);
    eprintln!("replay with EXPRESS_SEED={seed}");
    simulate(seed);
}
