//! A simulated client: speaks the control channel's messages and the real formats, as the native client does.

mod control;
mod link;
mod publisher;
mod subscriber;

use crate::truth::{Person, Truth};
pub use link::{Link, Road};
use publisher::Publication;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use router::ChannelId;
use std::collections::BTreeMap;
use std::time::Instant;
use subscriber::Subscriber;
use wire::control::LayerInfo;
use wire::{Kind, StreamId};

/// Where a client's control channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not in the meeting.
    Out,
    /// Waits for `joined`.
    Joining,
    /// In the meeting, with a channel.
    In,
    /// In the meeting, the channel dropped.
    Dropped,
    /// Its host vanished: nothing is said or heard any more.
    Vanished,
}

/// Packets of one link, equal in size but for the last.
pub struct Sending {
    pub kind: Kind,
    pub packets: Vec<Vec<u8>>,
}

/// A stream of somebody else.
pub struct Known {
    pub kind: Kind,
    pub layers: Vec<LayerInfo>,
}

pub struct Client {
    pub person: Person,
    /// Sends what it should not.
    pub is_malicious: bool,
    pub state: State,
    pub channel: Option<ChannelId>,
    session: Option<String>,
    pub links: BTreeMap<Kind, Link>,
    pub publications: BTreeMap<Kind, Publication>,
    /// Published, not answered yet.
    offered: BTreeMap<Kind, Publication>,
    pub streams: BTreeMap<StreamId, Known>,
    /// The layer on its way, by stream.
    pub subscriptions: BTreeMap<StreamId, u8>,
    subscribers: BTreeMap<u32, Subscriber>,
    /// Authentic media packets received.
    pub received: u64,
}

impl Client {
    pub fn new(person: Person, is_malicious: bool) -> Self {
        Self {
            person,
            is_malicious,
            state: State::Out,
            channel: None,
            session: None,
            links: BTreeMap::new(),
            publications: BTreeMap::new(),
            offered: BTreeMap::new(),
            streams: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            received: 0,
        }
    }

    /// Media, checks and feedback that are due.
    pub fn tick(&mut self, now: Instant, random: &mut ChaCha20Rng) -> Vec<Sending> {
        let mut out = Vec::new();
        if self.state == State::Vanished {
            return out;
        }
        for link in self.links.values_mut() {
            link.check_if_due(now, random, &mut out);
        }
        for publication in self.publications.values_mut() {
            if let Some(link) = self.links.get_mut(&publication.kind) {
                publication.tick(now, link, random, &mut out);
            }
        }
        self.give_feedback(random, &mut out);
        out
    }

    /// A packet for one of its links.
    pub fn hear(
        &mut self,
        kind: Kind,
        packet: &[u8],
        truth: &Truth,
        random: &mut ChaCha20Rng,
    ) -> Vec<Sending> {
        use wire::demux::{Class, classify};
        let mut out = Vec::new();
        let Some(link) = self.links.get_mut(&kind) else { return out };
        match classify(packet) {
            Some(Class::Stun) => link.hear_answer(packet),
            Some(Class::Rtp) => self.hear_media(packet, truth),
            Some(Class::Rtcp) => {
                let reports = link.hear_rtcp(packet);
                if let Some(publication) = self.publications.get_mut(&kind) {
                    publication.hear_feedback(&reports, random, &mut out);
                }
            }
            other => panic!("a client heard {other:?}"),
        }
        out
    }

    /// Its channel dropped: answers on their way are lost.
    pub fn lose_channel(&mut self) {
        self.channel = None;
        self.offered.clear();
        self.state = State::Dropped;
    }

    /// Everything of the meeting is over for it.
    pub fn forget_meeting(&mut self) {
        self.session = None;
        self.channel = None;
        self.links.clear();
        self.publications.clear();
        self.offered.clear();
        self.streams.clear();
        self.subscriptions.clear();
        self.subscribers.clear();
    }

    /// Any of its streams' layers, or of others', to say something about.
    pub fn some_label(&self, random: &mut ChaCha20Rng) -> Option<(Kind, u32)> {
        let streams: Vec<&Known> = self.streams.values().collect();
        let stream = streams.get(random.random_range(0..streams.len().max(1)))?;
        let layer = &stream.layers[random.random_range(0..stream.layers.len())];
        Some((stream.kind, layer.ssrc.0))
    }
}
