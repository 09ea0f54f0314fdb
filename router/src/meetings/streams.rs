//! Streams: what one participant publishes of one kind, in layers, each with its own label.

use super::{Meetings, ParticipantId, Refusal, secrets};
use crate::{LayerId, LayerSpec, LinkId, MeetingId, Order, limits};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use wire::control::{Codec, ErrorCode, LayerInfo, LayerOffer, ServerMessage};
use wire::token::Role;
use wire::{Bitrate, Kind, Ssrc, StreamId};

/// What one participant publishes of one kind.
pub(super) struct Stream {
    pub(super) publisher: ParticipantId,
    pub(super) meeting: MeetingId,
    pub(super) kind: Kind,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
    pub(super) subscribers: BTreeSet<ParticipantId>,
}

/// One encoding of a stream.
pub(super) struct Layer {
    pub(super) id: LayerId,
    pub(super) info: LayerInfo,
}

/// Where a layer's number leads.
#[derive(Clone, Copy)]
pub(super) struct LayerPlace {
    pub(super) stream: StreamId,
    /// Which of the stream's layers.
    pub(super) layer: u8,
}

/// Payload types a layer may have: dynamic ones (RFC 3551 §6).
const PAYLOAD_TYPES: std::ops::RangeInclusive<u8> = 96..=127;

impl Meetings {
    pub(super) fn publish(
        &mut self,
        now: Instant,
        who: ParticipantId,
        kind: Kind,
        offers: Vec<LayerOffer>,
    ) -> Result<(), Refusal> {
        let link = self.may_publish(who, kind)?;
        check_offers(kind, &offers)?;
        if offers.len() > self.layers.room() {
            return Err(Refusal::new(ErrorCode::LimitReached, "this MMR is full: layers"));
        }
        if !self.participant_mut(who).publishes.allow(now) {
            return Err(Refusal::new(ErrorCode::LimitReached, "too many publishes: slow down"));
        }
        let id = self.add_stream(who, kind, link, offers);
        let ssrcs = self.streams[&id].layers.iter().map(|layer| layer.info.ssrc).collect();
        self.tell(who, ServerMessage::Published { stream: id, kind, ssrcs });
        self.tell_others(self.streams[&id].meeting, who, &self.stream_added(id));
        Ok(())
    }

    pub(super) fn unpublish(&mut self, who: ParticipantId, id: StreamId) -> Result<(), Refusal> {
        let stream = self.stream_of(who, id)?;
        if stream.publisher != who {
            return Err(Refusal::new(ErrorCode::NotAllowed, "the stream is another's"));
        }
        self.end_stream(id);
        Ok(())
    }

    /// Removes a stream with its subscriptions, and tells everybody else in the meeting.
    pub(super) fn end_stream(&mut self, id: StreamId) {
        let subscribers: Vec<ParticipantId> =
            self.streams[&id].subscribers.iter().copied().collect();
        for subscriber in subscribers {
            self.end_subscription(subscriber, id);
        }
        let stream = self.streams.remove(&id).expect("its callers looked it up");
        for layer in &stream.layers {
            self.layers.remove(layer.id).expect("a stream's layers are known");
            self.order(Order::RemoveLayer(layer.id));
        }
        let meeting = self.meeting_mut(stream.meeting);
        meeting.streams.remove(&id);
        for layer in &stream.layers {
            meeting.ssrcs.remove(&layer.info.ssrc);
        }
        if stream.kind == Kind::Audio {
            meeting.speaker.forget(stream.publisher);
        }
        self.participant_mut(stream.publisher).streams[stream.kind.index()] = None;
        let removed = ServerMessage::StreamRemoved { stream: id };
        self.tell_others(stream.meeting, stream.publisher, &removed);
    }

    /// A stream of the participant's meeting; streams of others are as unknown as those that never were.
    pub(super) fn stream_of(&self, who: ParticipantId, id: StreamId) -> Result<&Stream, Refusal> {
        let meeting = self.participant(who).meeting;
        let stream = self.streams.get(&id).filter(|stream| stream.meeting == meeting);
        stream.ok_or(Refusal::new(ErrorCode::UnknownStream, "no such stream in this meeting"))
    }

    /// Tells a newcomer of the streams of others.
    pub(super) fn tell_streams(&mut self, who: ParticipantId, streams: &[StreamId]) {
        for &id in streams {
            if self.streams[&id].publisher != who {
                self.tell(who, self.stream_added(id));
            }
        }
    }

    fn may_publish(&self, who: ParticipantId, kind: Kind) -> Result<LinkId, Refusal> {
        let participant = self.participant(who);
        if participant.role == Role::Viewer {
            return Err(Refusal::new(ErrorCode::NotAllowed, "a viewer may not publish"));
        }
        if !participant.kinds[kind.index()] {
            return Err(Refusal::new(ErrorCode::NotAllowed, "the token does not allow this kind"));
        }
        if participant.streams[kind.index()].is_some() {
            let message = "a stream of this kind is published already";
            return Err(Refusal::new(ErrorCode::AlreadyPublished, message));
        }
        participant.links[kind.index()]
            .ok_or(Refusal::new(ErrorCode::NoLink, "connect this kind before publishing it"))
    }

    /// Room in the tables was checked.
    fn add_stream(
        &mut self,
        who: ParticipantId,
        kind: Kind,
        link: LinkId,
        offers: Vec<LayerOffer>,
    ) -> StreamId {
        let id = StreamId(self.streams_made);
        self.streams_made = self.streams_made.wrapping_add(1);
        let meeting = self.participant(who).meeting;
        let layers = (0..).zip(offers).map(|(index, offer)| {
            self.add_layer(LayerPlace { stream: id, layer: index }, meeting, link, kind, offer)
        });
        let layers = layers.collect();
        let subscribers = BTreeSet::new();
        self.streams.insert(id, Stream { publisher: who, meeting, kind, layers, subscribers });
        self.meeting_mut(meeting).streams.insert(id);
        self.participant_mut(who).streams[kind.index()] = Some(id);
        id
    }

    fn add_layer(
        &mut self,
        place: LayerPlace,
        meeting: MeetingId,
        link: LinkId,
        kind: Kind,
        offer: LayerOffer,
    ) -> Layer {
        let id = self.layers.insert(place).expect("room was checked by publish");
        let ssrc = self.new_ssrc(meeting);
        let max_bitrate = offer.max_bitrate;
        let spec = LayerSpec { id, link, meeting, ssrc, kind, max_bitrate };
        self.order(Order::AddLayer(Arc::new(spec)));
        let LayerOffer { codec, payload_type, key, .. } = offer;
        Layer { id, info: LayerInfo { ssrc, codec, payload_type, max_bitrate, key, roc: 0 } }
    }

    fn new_ssrc(&mut self, meeting: MeetingId) -> Ssrc {
        let taken = &mut self.meetings.get_mut(&meeting).expect("its publisher is in it").ssrcs;
        let ssrc = secrets::ssrc(&mut self.random, |ssrc| taken.contains(&ssrc));
        taken.insert(ssrc);
        ssrc
    }

    fn stream_added(&self, id: StreamId) -> ServerMessage {
        let stream = &self.streams[&id];
        ServerMessage::StreamAdded {
            stream: id,
            participant: self.participant(stream.publisher).name.clone(),
            kind: stream.kind,
            layers: stream.layers.iter().map(|layer| layer.info.clone()).collect(),
        }
    }
}

fn check_offers(kind: Kind, offers: &[LayerOffer]) -> Result<(), Refusal> {
    if offers.is_empty() {
        return Err(Refusal::new(ErrorCode::BadMessage, "a stream has at least one layer"));
    }
    if offers.len() > wire::limits::LAYERS_MAX {
        return Err(Refusal::new(ErrorCode::LimitReached, "too many layers in one stream"));
    }
    offers.iter().try_for_each(|offer| check_offer(kind, offer))
}

fn check_offer(kind: Kind, offer: &LayerOffer) -> Result<(), Refusal> {
    if !PAYLOAD_TYPES.contains(&offer.payload_type) {
        return Err(Refusal::new(ErrorCode::BadMessage, "payload_type must be 96 to 127"));
    }
    if (offer.codec == Codec::Opus) != (kind == Kind::Audio) {
        return Err(Refusal::new(ErrorCode::BadMessage, "the codec does not fit the kind"));
    }
    if offer.max_bitrate == Bitrate(0) {
        return Err(Refusal::new(ErrorCode::BadMessage, "max_bitrate must not be 0"));
    }
    if offer.max_bitrate > Bitrate(limits::BITRATE_MAX) {
        return Err(Refusal::new(ErrorCode::LimitReached, "max_bitrate is over the limit"));
    }
    Ok(())
}
