//! A client's link: binds it with checks, protects and unprotects its RTCP.

use super::Sending;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use router::ConnectionId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::control::SrtcpKeys;
use wire::rtcp::Report;
use wire::srtp::{ReplayWindow, SessionKeys};
use wire::stun::TransactionId;
use wire::{Kind, Ssrc};

/// How often an unanswered check is repeated.
const RETRY: Duration = Duration::from_millis(200);

/// What a link's packets travel on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Datagrams from this address of its own.
    Udp(SocketAddr),
    /// A connection.
    Stream(ConnectionId),
    /// The connection closed; another is not open yet.
    None,
}

pub struct Link {
    pub kind: Kind,
    pub ufrag: String,
    password: String,
    rtcp_out: SessionKeys,
    rtcp_in: SessionKeys,
    pub ssrc: u32,
    rtcp_index: u32,
    heard: BTreeMap<u32, ReplayWindow>,
    pub road: Road,
    /// A check over this road was answered.
    pub is_bound: bool,
    checked_at: Option<Instant>,
    /// The last check was answered.
    is_answered: bool,
    /// How often it proves consent.
    interval: Duration,
}

impl Link {
    pub fn new(
        kind: Kind,
        ufrag: String,
        password: String,
        keys: &SrtcpKeys,
        random: &mut ChaCha20Rng,
    ) -> Self {
        Self {
            kind,
            ufrag,
            password,
            rtcp_out: SessionKeys::derive(&keys.client.0),
            rtcp_in: SessionKeys::derive(&keys.mmr.0),
            ssrc: random.random_range(256..=u32::MAX),
            rtcp_index: 0,
            heard: BTreeMap::new(),
            road: Road::None,
            is_bound: false,
            checked_at: None,
            is_answered: false,
            interval: Duration::from_millis(random.random_range(1_500..5_000)),
        }
    }

    /// Packets go another way from now on. Who knows of it checks at once; behind a NAT nobody knows.
    pub fn move_to(&mut self, road: Road, knows: bool) {
        self.road = road;
        if knows {
            self.is_bound = false;
            self.checked_at = None;
        }
    }

    /// Checks with the next tick.
    pub fn hurry(&mut self) {
        self.checked_at = None;
    }

    pub fn check_if_due(&mut self, now: Instant, random: &mut ChaCha20Rng, out: &mut Vec<Sending>) {
        let wait = if self.is_answered { self.interval } else { RETRY };
        if self.road == Road::None || self.checked_at.is_some_and(|at| now < at + wait) {
            return;
        }
        self.checked_at = Some(now);
        self.is_answered = false;
        let mut packet = Vec::new();
        let transaction = TransactionId(random.random());
        wire::stun::write_request(transaction, &self.ufrag, "simu", &self.password, &mut packet);
        out.push(Sending { kind: self.kind, packets: vec![packet] });
    }

    pub fn hear_answer(&mut self, packet: &[u8]) {
        wire::stun::parse_success(packet, &self.password).expect("an answer to a check of ours");
        self.is_bound = true;
        self.is_answered = true;
    }

    /// Protects a compound `write` makes.
    pub fn rtcp(&mut self, write: impl FnOnce(Ssrc, &mut [u8]) -> Option<usize>) -> Sending {
        let mut packet = vec![0; 1_400];
        let len = write(Ssrc(self.ssrc), &mut packet).expect("there is room");
        let len = self.rtcp_out.protect_rtcp(self.rtcp_index, &mut packet, len).unwrap();
        self.rtcp_index += 1;
        packet.truncate(len);
        Sending { kind: self.kind, packets: vec![packet] }
    }

    /// What the MMR reports; nothing when it was heard before.
    pub fn hear_rtcp(&mut self, packet: &[u8]) -> Vec<Report> {
        let mut plain = packet.to_vec();
        let (len, index) = self.rtcp_in.unprotect_rtcp(&mut plain).expect("RTCP of this link");
        let sender = wire::rtcp::sender_ssrc(&plain[..len]).unwrap();
        let mut reports = Vec::new();
        if self.heard.entry(sender.0).or_default().accept(index.into()) {
            wire::rtcp::parse(&plain[..len], |report| reports.push(report)).unwrap();
        }
        reports
    }
}
