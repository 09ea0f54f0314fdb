//! A naive model of one worker's tables, made from the orders it was given: who may get what.

use router::{LayerSpec, LinkId, LinkSpec, Order};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Default)]
pub struct Tables {
    pub links: BTreeMap<u32, Arc<LinkSpec>>,
    pub layers: BTreeMap<u32, Arc<LayerSpec>>,
    /// By layer.
    routes: BTreeMap<u32, BTreeSet<u32>>,
    /// Layer index by label.
    labels: BTreeMap<u32, u32>,
}

impl Tables {
    pub fn apply(&mut self, order: &Order) {
        match order {
            Order::AddLink(spec) => {
                let before = self.links.insert(spec.id.index, spec.clone());
                assert!(before.is_none(), "a link's number was given away twice");
            }
            Order::RemoveLink(link) => self.remove_link(*link),
            Order::AddLayer(spec) => {
                let before = self.layers.insert(spec.id.index, spec.clone());
                assert!(before.is_none(), "a layer's number was given away twice");
                self.labels.insert(spec.ssrc.0, spec.id.index);
            }
            Order::RemoveLayer(layer) => {
                let spec = self.layers.remove(&layer.index).expect("an unknown layer was removed");
                self.labels.remove(&spec.ssrc.0);
                let routes = self.routes.remove(&layer.index).unwrap_or_default();
                assert!(routes.is_empty(), "a layer was removed before its routes");
            }
            Order::Route { layer, link } => {
                assert_eq!(
                    self.layers[&layer.index].meeting, self.links[&link.index].meeting,
                    "a route leads out of its meeting"
                );
                self.routes.entry(layer.index).or_default().insert(link.index);
            }
            Order::Unroute { layer, link } => self.unroute(layer.index, link.index),
            Order::Switch { .. } | Order::Rollover { .. } | Order::Mark(_) | Order::Express(_) => {}
        }
    }

    /// The router told that it switched.
    pub fn switched(&mut self, from: u32, to: u32, link: u32) {
        self.unroute(from, link);
        self.routes.entry(to).or_default().insert(link);
    }

    /// Who gets the layer with this label.
    pub fn destinations(&self, ssrc: u32) -> BTreeSet<u32> {
        let layer = self.labels.get(&ssrc);
        layer.and_then(|layer| self.routes.get(layer)).cloned().unwrap_or_default()
    }

    /// How many routes there are.
    pub fn routes(&self) -> usize {
        self.routes.values().map(BTreeSet::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
            && self.layers.is_empty()
            && self.routes.values().all(BTreeSet::is_empty)
    }

    fn remove_link(&mut self, link: LinkId) {
        let spec = self.links.remove(&link.index).expect("an unknown link was removed");
        assert_eq!(spec.id, link, "a link of another generation was removed");
        let routed = self.routes.values().any(|links| links.contains(&link.index));
        assert!(!routed, "a link was removed before its routes");
    }

    fn unroute(&mut self, layer: u32, link: u32) {
        if let Some(links) = self.routes.get_mut(&layer) {
            links.remove(&link);
        }
    }
}
