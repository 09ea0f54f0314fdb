//! What a client says and hears on its control channel.

use super::{Client, Known, Link, Publication, State};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;
use wire::control::{ClientMessage, ErrorCode, ServerMessage, VERSION};
use wire::token::Role;
use wire::{Kind, StreamId};

impl Client {
    /// `resume`, if there is something to resume.
    pub fn resume(&mut self) -> Option<ClientMessage> {
        let session = self.session.clone()?;
        Some(ClientMessage::Resume { v: VERSION, session: session.into() })
    }

    /// Something a client may say in its place, or should not.
    pub fn request(&mut self, random: &mut ChaCha20Rng) -> Option<ClientMessage> {
        let kind = Kind::ALL[random.random_range(0..3)];
        match random.random_range(0..100) {
            _ if self.links.len() < self.person.kinds.len() && random.random_bool(0.7) => {
                Some(ClientMessage::Connect { kind })
            }
            0..30 => self.publish(kind, random),
            30..80 => self.subscribe(random),
            80..88 => {
                let stream = some(&self.subscriptions, random)?;
                self.subscriptions.remove(&stream);
                Some(ClientMessage::Unsubscribe { stream })
            }
            88..92 => self.unpublish(kind),
            92..97 => Some(ClientMessage::Connect { kind }),
            97 => Some(ClientMessage::Unpublish { stream: StreamId(random.random_range(0..20)) }),
            _ => {
                let stream = StreamId(random.random_range(0..20));
                Some(ClientMessage::Subscribe { stream, max_layer: random.random() })
            }
        }
    }

    /// Everything it knows of and has a link for, up to some layer.
    pub fn subscribe_to_all(&self, random: &mut ChaCha20Rng) -> Vec<ClientMessage> {
        let streams = self.streams.iter().filter(|(_, known)| self.links.contains_key(&known.kind));
        let subscribe = |(&stream, _): (&StreamId, &Known)| ClientMessage::Subscribe {
            stream,
            max_layer: random.random_range(0..4),
        };
        streams.map(subscribe).collect()
    }

    pub fn hear_message(&mut self, message: ServerMessage, random: &mut ChaCha20Rng) {
        match message {
            ServerMessage::Joined { session, .. } => {
                self.session = Some(session.0);
                self.state = State::In;
                // `stream_added` follows for all there are.
                self.streams.clear();
            }
            ServerMessage::Link { kind, ufrag, password, srtcp_keys, .. } => {
                let is_new = self.links.get(&kind).is_none_or(|link| link.ufrag != ufrag);
                if is_new {
                    let link = Link::new(kind, ufrag, password.0, &srtcp_keys, random);
                    self.links.insert(kind, link);
                }
            }
            ServerMessage::Published { stream, kind, ssrcs } => {
                let mut publication = self.offered.remove(&kind).expect("an offer");
                publication.stream = stream;
                for (layer, ssrc) in publication.layers.iter_mut().zip(ssrcs) {
                    layer.ssrc = ssrc.0;
                }
                self.publications.insert(kind, publication);
            }
            ServerMessage::Subscribed { stream, layer, roc } => self.begin(stream, layer, roc),
            ServerMessage::StreamAdded { stream, kind, layers, .. } => {
                self.streams.insert(stream, Known { kind, layers });
            }
            ServerMessage::StreamRemoved { stream } => {
                self.streams.remove(&stream);
                self.subscriptions.remove(&stream);
            }
            ServerMessage::Error { code, .. } => self.hear_error(code),
            _ => {}
        }
    }

    fn publish(&mut self, kind: Kind, random: &mut ChaCha20Rng) -> Option<ClientMessage> {
        let offered = self.offered.contains_key(&kind) || self.publications.contains_key(&kind);
        if offered || !self.links.contains_key(&kind) || self.person.role == Role::Viewer {
            // Refused: nothing is offered that would be answered by `published`.
            let layers = Vec::new();
            return random.random_bool(0.1).then_some(ClientMessage::Publish { kind, layers });
        }
        let count = if kind == Kind::Audio { 1 } else { random.random_range(1..=3) };
        let (publication, mut layers) = Publication::new(kind, count, random);
        if self.is_malicious {
            // Declares less than it will send.
            layers.iter_mut().for_each(|layer| layer.max_bitrate = wire::Bitrate(1));
        }
        self.offered.insert(kind, publication);
        Some(ClientMessage::Publish { kind, layers })
    }

    fn unpublish(&mut self, kind: Kind) -> Option<ClientMessage> {
        let publication = self.publications.remove(&kind)?;
        Some(ClientMessage::Unpublish { stream: publication.stream })
    }

    fn subscribe(&mut self, random: &mut ChaCha20Rng) -> Option<ClientMessage> {
        let stream = some(&self.streams, random)?;
        Some(ClientMessage::Subscribe { stream, max_layer: random.random_range(0..4) })
    }

    fn hear_error(&mut self, code: ErrorCode) {
        if self.state == State::Joining || code == ErrorCode::UnknownSession {
            self.forget_meeting();
            self.state = State::Out;
        }
    }
}

fn some<V>(map: &BTreeMap<StreamId, V>, random: &mut ChaCha20Rng) -> Option<StreamId> {
    let index = random.random_range(0..map.len().max(1));
    map.keys().nth(index).copied()
}
