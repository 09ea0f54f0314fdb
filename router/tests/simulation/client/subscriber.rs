//! What a client receives of layers: decrypts it, notes what is missing and asks for it.

use super::{Client, Sending};
use crate::truth::Truth;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use std::collections::{BTreeMap, BTreeSet};
use wire::control::LayerInfo;
use wire::rtp::Packet;
use wire::srtp::{Rollover, SessionKeys};
use wire::{Kind, Seq, Ssrc, StreamId};

/// How often a packet is asked for.
const TRIES: u8 = 3;
/// A longer gap is not asked for.
const GAP_MAX: u64 = 60;

/// One layer as it is received.
pub struct Subscriber {
    kind: Kind,
    keys: SessionKeys,
    rollover: Rollover,
    /// By rollover counter and sequence number.
    seen: BTreeSet<u64>,
    /// What is missing, and how often it was asked for.
    missing: BTreeMap<u64, u8>,
}

impl Client {
    /// Media: what its publisher made must decrypt; what a liar made must not.
    pub fn hear_media(&mut self, packet: &[u8], truth: &Truth) {
        let ssrc = Packet::parse(packet).expect("RTP").ssrc();
        if !self.is_told_of(ssrc) {
            return; // `subscribed`, and with it the counter, is still on its way, or the end is
        }
        let Some(subscriber) = self.subscriber(ssrc) else { return };
        match subscriber.receive(packet) {
            Some(true) => {
                assert!(truth.is_made(packet), "a packet decrypts that nobody made");
                self.received += 1;
            }
            Some(false) => {}
            None => {
                let excused = !truth.is_made(packet) || !truth.is_countable(ssrc.0);
                assert!(excused, "a packet does not decrypt: wrong rollover counter");
            }
        }
    }

    /// Control told that this layer is on its way, and its rollover counter.
    pub fn begin(&mut self, stream: StreamId, layer: u8, roc: u32) {
        self.subscriptions.insert(stream, layer);
        let known = self.streams.get_mut(&stream);
        let Some(info) = known.and_then(|known| known.layers.get_mut(usize::from(layer))) else {
            return;
        };
        info.roc = info.roc.max(roc);
        if let Some(subscriber) = self.subscribers.get_mut(&info.ssrc.0)
            && roc > subscriber.rollover.roc()
        {
            subscriber.rollover = Rollover::new(roc);
        }
    }

    fn is_told_of(&self, ssrc: Ssrc) -> bool {
        self.subscriptions.iter().any(|(stream, &layer)| {
            let known = self.streams.get(stream);
            let info = known.and_then(|known| known.layers.get(usize::from(layer)));
            info.is_some_and(|info| info.ssrc == ssrc)
        })
    }

    /// Whether a packet of a layer arrived.
    pub fn has_received(&self, ssrc: u32, extended: u64) -> bool {
        self.subscribers.get(&ssrc).is_some_and(|layer| layer.seen.contains(&extended))
    }

    pub fn give_feedback(&mut self, random: &mut ChaCha20Rng, out: &mut Vec<Sending>) {
        for (&ssrc, subscriber) in &mut self.subscribers {
            let lost = subscriber.lost();
            let Some(link) = self.links.get_mut(&subscriber.kind).filter(|link| link.is_bound)
            else {
                continue;
            };
            if !lost.is_empty() {
                out.push(link.rtcp(|own, out| wire::rtcp::write_nack(own, Ssrc(ssrc), &lost, out)));
            }
            if random.random_bool(0.002) {
                out.push(link.rtcp(|own, out| wire::rtcp::write_pli(own, Ssrc(ssrc), out)));
            }
        }
    }

    fn subscriber(&mut self, ssrc: Ssrc) -> Option<&mut Subscriber> {
        if !self.subscribers.contains_key(&ssrc.0) {
            let of_ssrc = |layer: &&LayerInfo| layer.ssrc == ssrc;
            let mut known = self.streams.values();
            let (kind, layer) =
                known.find_map(|known| Some((known.kind, known.layers.iter().find(of_ssrc)?)))?;
            let subscriber = Subscriber {
                kind,
                keys: SessionKeys::derive(&layer.key.0),
                rollover: Rollover::new(layer.roc),
                seen: BTreeSet::new(),
                missing: BTreeMap::new(),
            };
            self.subscribers.insert(ssrc.0, subscriber);
        }
        self.subscribers.get_mut(&ssrc.0)
    }
}

impl Subscriber {
    /// Whether it is new; `None` when it does not decrypt.
    fn receive(&mut self, packet: &[u8]) -> Option<bool> {
        let seq = Packet::parse(packet).expect("RTP").seq();
        let roc = self.decrypt(packet, seq)?;
        self.rollover.update(seq, roc);
        let extended = u64::from(roc) << 16 | u64::from(seq.0);
        if let Some(&highest) = self.seen.last()
            && extended > highest
            && extended - highest <= GAP_MAX
        {
            self.missing.extend((highest + 1..extended).map(|missing| (missing, 0)));
        }
        self.missing.remove(&extended);
        Some(self.seen.insert(extended))
    }

    /// The counter was true when control told it: it may be one off by the time packets come.
    fn decrypt(&self, packet: &[u8], seq: Seq) -> Option<u32> {
        let guess = self.rollover.guess(seq);
        let counters = [guess, guess.wrapping_add(1), guess.wrapping_sub(1)];
        let decrypts = |roc: &u32| self.keys.unprotect_rtp(*roc, &mut packet.to_vec()).is_ok();
        counters.into_iter().find(decrypts)
    }

    /// What to ask for now; forgets what was asked for often enough.
    fn lost(&mut self) -> Vec<(Seq, u16)> {
        self.missing.retain(|_, tries| *tries < TRIES);
        let asked = self.missing.iter_mut().take(12).map(|(extended, tries)| {
            *tries += 1;
            (Seq((*extended & 0xffff) as u16), 0)
        });
        asked.collect()
    }
}
