//! What happened in a run: so that a simulation in which nothing happens is noticed.

use crate::client::Client;
use crate::worker::Worker;
use router::{DropCounters, DropReason, Event};
use std::fmt;

#[derive(Default)]
pub struct Story {
    pub turns: u64,
    pub arrivals: u64,
    pub trains: u64,
    pub messages: u64,
    pub refusals: u64,
    pub moves: u64,
    pub connections: u64,
    pub drops: u64,
    pub vanished: u64,
    pub lies: u64,
    pub probes: u64,
    switches: u64,
    rollovers: u64,
    consents_lost: u64,
    received: u64,
    retransmitted: u64,
    dropped: DropCounters,
}

impl Story {
    pub fn note_event(&mut self, event: &Event) {
        match event {
            Event::Switched { .. } => self.switches += 1,
            Event::Rollover { .. } => self.rollovers += 1,
            Event::ConsentLost { .. } => self.consents_lost += 1,
            Event::Bound { .. } | Event::Level { .. } => {}
        }
    }

    pub fn finish(&mut self, workers: &[Worker], clients: &[Client]) {
        self.received = clients.iter().map(|client| client.received).sum();
        for worker in workers {
            self.retransmitted += worker.router.counters().retransmitted;
            self.dropped.merge(worker.router.drops());
        }
    }

    pub fn add(&mut self, other: &Self) {
        for ((_, mine), (_, theirs)) in self.counts_mut().into_iter().zip(other.counts()) {
            *mine += theirs;
        }
        self.dropped.merge(&other.dropped);
    }

    /// Over all seeds everything a promise is about came to pass.
    pub fn assert_everything_happened(&self) {
        for (name, count) in self.counts() {
            assert!(count > 0, "no {name} in the whole run");
        }
        for reason in [
            DropReason::Malformed,
            DropReason::Oversized,
            DropReason::Stranger,
            DropReason::UnknownUfrag,
            DropReason::StunForged,
            DropReason::WrongSsrc,
            DropReason::OverRate,
            DropReason::Overload,
            DropReason::Duplicate,
            DropReason::TooOld,
            DropReason::RtcpForged,
            DropReason::RtcpReplayed,
            DropReason::FeedbackStray,
            DropReason::NotInHistory,
            DropReason::Unbound,
        ] {
            assert!(self.dropped.of(reason) > 0, "no drop as {} in the whole run", reason.name());
        }
    }

    fn counts(&self) -> [(&'static str, u64); 16] {
        let mut copy = Self { dropped: DropCounters::default(), ..*self };
        copy.counts_mut().map(|(name, count)| (name, *count))
    }

    fn counts_mut(&mut self) -> [(&'static str, &mut u64); 16] {
        [
            ("turns", &mut self.turns),
            ("arrivals", &mut self.arrivals),
            ("trains", &mut self.trains),
            ("messages", &mut self.messages),
            ("refusals", &mut self.refusals),
            ("moves", &mut self.moves),
            ("connections", &mut self.connections),
            ("dropped channels", &mut self.drops),
            ("vanished hosts", &mut self.vanished),
            ("lies", &mut self.lies),
            ("probes", &mut self.probes),
            ("switches", &mut self.switches),
            ("rollovers", &mut self.rollovers),
            ("consents lost", &mut self.consents_lost),
            ("packets received", &mut self.received),
            ("retransmissions", &mut self.retransmitted),
        ]
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.counts() {
            write!(f, "{name} {count}, ")?;
        }
        f.write_str("drops:")?;
        for &reason in DropReason::ALL {
            if self.dropped.of(reason) > 0 {
                write!(f, " {} {}", reason.name(), self.dropped.of(reason))?;
            }
        }
        Ok(())
    }
}
