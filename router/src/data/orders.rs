//! What control says, and what other workers say. Control's sequence is kept (see `order.rs`), so that what an order
//! names is known: anything else is our own mistake. Messages of other workers may be early or late.

use super::Router;
use super::clock::Stamp;
use crate::{Event, LayerId, LayerSpec, LinkId, Order, Outbox, PeerMessage};

impl Router {
    /// Carries out an order.
    pub(super) fn carry_out(&mut self, order: Order, now: Stamp) {
        match order {
            Order::AddLink(spec) => self.links.add(spec),
            Order::RemoveLink(link) => self.links.remove(link),
            Order::AddLayer(spec) => self.add_layer(&spec),
            Order::RemoveLayer(layer) => self.remove_layer(layer),
            Order::Route { layer, link } => self.route(layer, link),
            Order::Unroute { layer, link } => self.unroute(layer, link),
            Order::Switch { from, to, link } => self.switch(from, to, link, now),
            Order::Rollover { layer, roc } => self.hear_of(layer, u64::from(roc) << 16),
            Order::Mark(marks) => self.marks = Some(marks),
            Order::Express(version) => {
                if let Some(layer) = self.layers.get_mut(version.layer) {
                    layer.express.note(version);
                }
            }
        }
    }

    /// Hears another worker.
    pub(super) fn hear_peer(&mut self, message: PeerMessage, now: Stamp, outbox: &mut Outbox) {
        match message {
            PeerMessage::Bound { link, path, worker, at } => {
                self.hear_bound(link, path, worker, at);
            }
            PeerMessage::Unbound { link, path } => self.hear_unbound(link, path),
            PeerMessage::Nack { layer, link, lost } => {
                self.hear_nack(layer, link, &lost, now, outbox)
            }
            PeerMessage::Pli { layer } => {
                if self.layers.get(layer).is_some() {
                    self.want_keyframe(layer.index, now, outbox);
                }
            }
            PeerMessage::Heard { layer, extended } => self.hear_of(layer, extended),
        }
    }

    fn add_layer(&mut self, spec: &LayerSpec) {
        let link = self.links.get(spec.link).map(|link| (link.spec.meeting, link.spec.kind));
        assert_eq!(
            link,
            Some((spec.meeting, spec.kind)),
            "a layer is of its link's meeting and kind"
        );
        self.layers.add(spec);
        if let Some(link) = self.links.at_mut(spec.link.index) {
            link.add_layer(spec.id.index);
        }
    }

    fn remove_layer(&mut self, id: LayerId) {
        assert_eq!(self.routes.count(id.index), 0, "control removed a layer before its routes");
        assert!(!self.switches.is_awaited(id.index), "control removed a layer switches wait for");
        let layer = self.layers.remove(id);
        if let Some(link) = self.links.at_mut(layer.link) {
            link.remove_layer(id.index);
        }
    }

    fn route(&mut self, layer: LayerId, link: LinkId) {
        self.assert_may_route(layer, link);
        self.switches.forget(layer.index, link.index);
        self.insert_route(layer.index, link.index);
    }

    fn unroute(&mut self, layer: LayerId, link: LinkId) {
        assert!(self.layers.get(layer).is_some(), "control stopped a route of an unknown layer");
        assert!(self.links.get(link).is_some(), "control stopped a route to an unknown link");
        self.switches.forget(layer.index, link.index);
        self.remove_route(layer.index, link.index);
    }

    /// Nothing when `from` is not sent: this worker has switched already, or the route ended.
    fn switch(&mut self, from: LayerId, to: LayerId, link: LinkId, now: Stamp) {
        self.assert_may_route(from, link);
        self.assert_may_route(to, link);
        if from == to || !self.routes.contains(from.index, link.index) {
            return;
        }
        if !self.switches.insert(from.index, to.index, link.index) {
            // No room to wait: better a picture that starts late than the wrong layer for ever.
            return self.complete_switch(from.index, to.index, link.index);
        }
        if let Some(layer) = self.layers.get_mut(to) {
            layer.keyframe_wanted = true;
            self.timers.expect_keyframe(to.index, now);
        }
    }

    /// The link gets `to` and no longer `from`.
    pub(super) fn complete_switch(&mut self, from: u32, to: u32, link: u32) {
        // The route may have ended while the switch waited; then nothing is to be replaced.
        if self.remove_route(from, link) {
            self.insert_route(to, link);
        }
        let ids = self.layers.at(from).zip(self.layers.at(to)).map(|(from, to)| (from.id, to.id));
        let link = self.links.at(link).map(|link| link.spec.id);
        if let Some(((from, to), link)) = ids.zip(link) {
            self.tell_control(Event::Switched { from, to, link });
        }
    }

    fn insert_route(&mut self, layer: u32, link: u32) {
        let added = self.routes.insert(layer, link);
        if let Some(link) = self.links.at_mut(link) {
            link.routes += u32::from(added);
        }
        let count = self.routes.count(layer);
        assert!(
            count <= crate::limits::DESTINATIONS_MAX,
            "more destinations than a layer may have"
        );
    }

    fn remove_route(&mut self, layer: u32, link: u32) -> bool {
        let removed = self.routes.remove(layer, link);
        if let Some(link) = self.links.at_mut(link) {
            link.routes -= u32::from(removed);
        }
        removed
    }

    /// No byte of a meeting reaches a link outside it.
    fn assert_may_route(&self, layer: LayerId, link: LinkId) {
        let layer = self.layers.get(layer).map(|layer| (layer.meeting, layer.kind));
        let link = self.links.get(link).map(|link| (link.spec.meeting, link.spec.kind));
        assert!(layer.is_some() && layer == link, "a route stays within its meeting and kind");
    }

    fn hear_of(&mut self, layer: LayerId, extended: u64) {
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.ingress.hear_of(extended);
        }
    }
}
