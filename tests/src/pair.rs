//! A meeting of two participants made by hand: what an attack must not disturb.

use crate::raw::{PATIENCE, RawChannel, RawLink, rtp};
use mmr::dev::Dev;
use std::net::SocketAddr;
use std::time::Instant;
use wire::token::Role;
use wire::{Kind, Ssrc};

/// A publisher and a subscriber of one audio stream, bound over UDP.
pub struct Pair {
    /// The publisher's link.
    pub publisher: RawLink,
    /// Its layer's label.
    pub ssrc: Ssrc,
    /// The subscriber's link.
    pub subscriber: RawLink,
    /// The publisher's and the subscriber's control channels.
    pub channels: [RawChannel; 2],
    seq: u16,
}

impl Pair {
    /// Both join the router at `tls`; the layer may take `max_bitrate` bits per second.
    ///
    /// # Panics
    /// When anything does not come up.
    pub async fn join(tls: SocketAddr, dev: &Dev, max_bitrate: u32) -> Self {
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
        let mut pair = Self { publisher, ssrc, subscriber, channels: [alice, bob], seq: 0 };
        pair.assert_media_flows();
        pair
    }

    /// Proves both links' consent anew.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn bind(&mut self) {
        self.publisher.bind();
        self.subscriber.bind();
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
}
