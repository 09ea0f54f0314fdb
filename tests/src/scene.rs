//! A real daemon with one meeting of two participants made by hand: what an attack must not disturb.

use crate::raw::{PATIENCE, RawChannel, RawLink, rtp};
use mmr::Daemon;
use mmr::dev::Dev;
use mmr::stats::Stats;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::token::Role;
use wire::{Kind, Ssrc};

/// A publisher and a subscriber of one audio stream, bound over UDP.
pub struct Scene {
    /// The daemon.
    pub daemon: Daemon,
    /// Its certificate and signer.
    pub dev: Dev,
    /// The publisher's link.
    pub publisher: RawLink,
    /// Its layer's label.
    pub ssrc: Ssrc,
    /// The subscriber's link.
    pub subscriber: RawLink,
    channels: [RawChannel; 2],
    seq: u16,
}

impl Scene {
    /// Starts it all; the layer may take `max_bitrate` bits per second.
    ///
    /// # Panics
    /// When anything does not come up.
    pub async fn new(max_bitrate: u32) -> Self {
        let dev = Dev::temporary().unwrap();
        let daemon = Daemon::start(dev.config()).unwrap();
        let tls = daemon.addresses().tls[0];
        let join = async |who| {
            RawChannel::join(tls, dev.ca_pem(), dev.token("scene", who, Role::Attendee)).await
        };
        let mut alice = join("alice").await;
        let mut bob = join("bob").await;
        let mut publisher = alice.connect(Kind::Audio).await;
        let mut subscriber = bob.connect(Kind::Audio).await;
        publisher.bind();
        subscriber.bind();
        let (_, ssrc) = alice.publish(Kind::Audio, max_bitrate).await;
        bob.subscribe_next().await;
        let channels = [alice, bob];
        let mut scene = Self { daemon, dev, publisher, ssrc, subscriber, channels, seq: 0 };
        scene.assert_media_flows();
        scene
    }

    /// Where datagrams go.
    pub fn udp(&self) -> SocketAddr {
        self.daemon.addresses().udp[0]
    }

    /// The publisher's and the subscriber's control channels.
    pub fn channels(&mut self) -> &mut [RawChannel; 2] {
        &mut self.channels
    }

    /// The next packet of the publisher, not sent yet.
    pub fn next_packet(&mut self) -> Vec<u8> {
        self.seq = self.seq.wrapping_add(1);
        rtp(self.ssrc, self.seq, 80)
    }

    /// The publisher's next packet reaches the subscriber, byte for byte.
    ///
    /// # Panics
    /// When it does not.
    pub fn assert_media_flows(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let packet = self.next_packet();
            self.publisher.socket.send(&packet).unwrap();
            // What was sent before may come first.
            while let Some(heard) = self.subscriber.receive_rtp() {
                if heard == packet {
                    return;
                }
            }
        }
        panic!("media does not flow")
    }

    /// The daemon's view when `enough` of it is true.
    ///
    /// # Panics
    /// When it does not come true.
    pub async fn stats_when(&self, what: &str, enough: impl Fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.daemon.stats().await.unwrap();
            if enough(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "{what} did not come true: {stats:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until `count` more packets than `before` were dropped for `reason`.
    pub async fn dropped(&self, reason: &str, before: u64, count: u64) {
        let what = format!("{count} drops for {reason}");
        self.stats_when(&what, |stats| drops(stats, reason) >= before + count).await;
    }
}

/// Packets dropped for a reason, all workers.
pub fn drops(stats: &Stats, reason: &str) -> u64 {
    stats.workers.iter().filter_map(|worker| worker.drops.get(reason)).sum()
}
