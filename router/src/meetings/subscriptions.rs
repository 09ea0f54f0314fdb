//! Subscriptions: what a participant wants of a stream, up to which layer. Each is one route at any time.

use super::streams::Stream;
use super::{Meetings, ParticipantId, Refusal};
use crate::{LayerId, LinkId, Order, limits};
use wire::control::{ErrorCode, ServerMessage};
use wire::{Kind, StreamId};

/// What a participant gets of a stream.
#[derive(Clone, Copy)]
pub(super) struct Subscription {
    /// The layer on its way, as far as workers have told.
    layer: u8,
    /// The layer that is to take over at its next keyframe.
    waiting: Option<u8>,
}

impl Meetings {
    /// A new subscription, or another layer for one there is.
    pub(super) fn subscribe(
        &mut self,
        who: ParticipantId,
        id: StreamId,
        max_layer: u8,
    ) -> Result<(), Refusal> {
        let stream = self.stream_of(who, id)?;
        let link = self.may_subscribe(who, stream)?;
        let wanted = max_layer.min(stream.highest_layer());
        match self.participant(who).subscriptions.get(&id).copied() {
            Some(subscription) => self.change_layer(who, id, link, subscription, wanted),
            None => self.add_subscription(who, id, link, wanted)?,
        }
        self.tell_subscribed(who, id);
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, who: ParticipantId, id: StreamId) -> Result<(), Refusal> {
        self.stream_of(who, id)?;
        if !self.participant(who).subscriptions.contains_key(&id) {
            return Err(Refusal::new(ErrorCode::UnknownStream, "the stream is not subscribed to"));
        }
        self.end_subscription(who, id);
        Ok(())
    }

    /// Removes a subscription and its route.
    pub(super) fn end_subscription(&mut self, who: ParticipantId, id: StreamId) {
        let subscription = self.participant_mut(who).subscriptions.remove(&id);
        let subscription = subscription.expect("its callers looked it up");
        let stream = self.streams.get_mut(&id).expect("a subscription's stream is known");
        assert!(stream.subscribers.remove(&who), "a stream knows its subscribers");
        let (kind, layer) = (stream.kind, stream.layer(subscription.layer));
        let waiting = subscription.waiting.map(|waiting| stream.layer(waiting));
        let link =
            self.participant(who).links[kind.index()].expect("a link goes after its subscriptions");
        // A worker may have switched already without our knowing.
        for layer in waiting.into_iter().chain([layer]) {
            self.order(Order::Unroute { layer, link });
        }
        self.routes -= 1;
    }

    /// A worker sends another layer since the keyframe it waited for. The others have not heard that keyframe: they
    /// are told, so that it makes no difference which of them the publisher's packets reach next.
    pub(super) fn switched(&mut self, from: LayerId, to: LayerId, link: LinkId) {
        let Some((who, id)) = self.switch_of(from, link) else { return };
        let stream = &self.streams[&id];
        let subscription = self.participant(who).subscriptions[&id];
        let Some(waiting) = subscription.waiting else { return };
        if stream.layer(subscription.layer) != from || stream.layer(waiting) != to {
            return; // it was asked for something else since
        }
        self.order(Order::Unroute { layer: from, link });
        self.order(Order::Route { layer: to, link });
        self.set_subscription(who, id, Subscription { layer: waiting, waiting: None });
        self.tell_subscribed(who, id);
    }

    /// After a resume: the answers and changes that may have been lost.
    pub(super) fn retell_subscriptions(&mut self, who: ParticipantId) {
        let streams: Vec<StreamId> = self.participant(who).subscriptions.keys().copied().collect();
        for id in streams {
            self.tell_subscribed(who, id);
        }
    }

    fn may_subscribe(&self, who: ParticipantId, stream: &Stream) -> Result<LinkId, Refusal> {
        if stream.publisher == who {
            return Err(Refusal::new(ErrorCode::NotAllowed, "the stream is one's own"));
        }
        let participant = self.participant(who);
        if !participant.kinds[stream.kind.index()] {
            return Err(Refusal::new(ErrorCode::NotAllowed, "the token does not allow this kind"));
        }
        participant.links[stream.kind.index()]
            .ok_or(Refusal::new(ErrorCode::NoLink, "connect this kind before subscribing to it"))
    }

    fn add_subscription(
        &mut self,
        who: ParticipantId,
        id: StreamId,
        link: LinkId,
        layer: u8,
    ) -> Result<(), Refusal> {
        if self.participant(who).subscriptions.len() >= limits::SUBSCRIPTIONS_MAX as usize {
            return Err(Refusal::new(ErrorCode::LimitReached, "too many subscriptions"));
        }
        if self.routes >= self.config.routes {
            return Err(Refusal::new(ErrorCode::LimitReached, "this MMR is full: routes"));
        }
        self.routes += 1;
        self.set_subscription(who, id, Subscription { layer, waiting: None });
        let stream = self.streams.get_mut(&id).expect("its caller looked it up");
        stream.subscribers.insert(who);
        let layer = stream.layer(layer);
        self.order(Order::Route { layer, link });
        Ok(())
    }

    fn change_layer(
        &mut self,
        who: ParticipantId,
        id: StreamId,
        link: LinkId,
        subscription: Subscription,
        wanted: u8,
    ) {
        if wanted == subscription.waiting.unwrap_or(subscription.layer) {
            return;
        }
        let stream = &self.streams[&id];
        let (kind, from, to) =
            (stream.kind, stream.layer(subscription.layer), stream.layer(wanted));
        if let Some(waiting) = subscription.waiting {
            // Some worker may have switched without our knowing: start all of them from the same place.
            let waiting = stream.layer(waiting);
            self.order(Order::Unroute { layer: waiting, link });
            self.order(Order::Route { layer: from, link });
        }
        let changed = if wanted == subscription.layer {
            Subscription { layer: wanted, waiting: None }
        } else if kind == Kind::Audio {
            // Every packet of audio can be decoded alone: there is no keyframe to wait for.
            self.order(Order::Unroute { layer: from, link });
            self.order(Order::Route { layer: to, link });
            Subscription { layer: wanted, waiting: None }
        } else {
            self.order(Order::Switch { from, to, link });
            Subscription { waiting: Some(wanted), ..subscription }
        };
        self.set_subscription(who, id, changed);
    }

    fn set_subscription(&mut self, who: ParticipantId, id: StreamId, subscription: Subscription) {
        self.participant_mut(who).subscriptions.insert(id, subscription);
    }

    fn tell_subscribed(&mut self, who: ParticipantId, id: StreamId) {
        let layer = self.participant(who).subscriptions[&id].layer;
        let roc = self.streams[&id].layers[usize::from(layer)].info.roc;
        self.tell(who, ServerMessage::Subscribed { stream: id, layer, roc });
    }

    /// Whose subscription a worker speaks of.
    fn switch_of(&self, from: LayerId, link: LinkId) -> Option<(ParticipantId, StreamId)> {
        let who = self.links.get(link)?.who;
        let id = self.layers.get(from)?.stream;
        self.participant(who).subscriptions.contains_key(&id).then_some((who, id))
    }
}

impl Subscription {
    pub(super) fn waits(self) -> bool {
        self.waiting.is_some()
    }
}

impl Stream {
    fn layer(&self, index: u8) -> LayerId {
        self.layers[usize::from(index)].id
    }

    fn highest_layer(&self) -> u8 {
        u8::try_from(self.layers.len() - 1).unwrap_or(u8::MAX)
    }
}
