//! STUN checks of one link (RFC 8445 §7.2): written, remembered until answered, timed.

use super::LinkInfo;
use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::stun::{self, TransactionId};

/// Unanswered checks remembered, so that a late answer still tells its round trip.
const REMEMBERED_MAX: usize = 16;
/// RFC 8445 §5.3 asks for four characters at least.
const UFRAG_LEN: usize = 8;

#[derive(Clone)]
pub(super) struct Checks {
    mmr_ufrag: String,
    own_ufrag: String,
    password: wire::control::Secret,
    sent: Vec<(TransactionId, Instant)>,
}

/// An answered check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) round_trip: Duration,
    /// This link's address as the MMR sees it.
    pub(super) mapped: SocketAddr,
}

impl Checks {
    pub(super) fn new(info: &LinkInfo) -> Self {
        Self {
            mmr_ufrag: info.ufrag.clone(),
            own_ufrag: Alphanumeric.sample_string(&mut rand::rng(), UFRAG_LEN),
            password: info.password.clone(),
            sent: Vec::new(),
        }
    }

    /// A new check. Every transmission has a transaction of its own, so that each answer tells a round trip.
    pub(super) fn write(&mut self, now: Instant) -> Vec<u8> {
        let transaction = TransactionId(rand::rng().random());
        if self.sent.len() >= REMEMBERED_MAX {
            self.sent.remove(0);
        }
        self.sent.push((transaction, now));
        let mut request = Vec::new();
        stun::write_request(
            transaction,
            &self.mmr_ufrag,
            &self.own_ufrag,
            &self.password,
            &mut request,
        );
        request
    }

    /// Takes what may be an answer to one of these checks.
    pub(super) fn receive(&mut self, now: Instant, packet: &[u8]) -> Option<Answer> {
        let (transaction, mapped) = stun::parse_success(packet, &self.password).ok()?;
        let at = self.sent.iter().position(|(sent, _)| *sent == transaction)?;
        // Older ones are settled by a newer answer as well.
        let (_, sent_at) = self.sent.drain(..=at).next_back()?;
        Some(Answer { round_trip: now.saturating_duration_since(sent_at), mapped })
    }
}
