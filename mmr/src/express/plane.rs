//! What the kernel should serve, and how it comes to: pure, so that tests can try every sequence.
//!
//! Control's orders and the workers' events go in, in their sequence; changes of the kernel's tables and orders to the
//! workers come out. A layer's destinations change in two steps, so that workers know of a version before any packet
//! bears its mark:
//!
//! ```text
//!   plan    version 7: links 3, 5, 9 ──Order::Express──▶ every worker's queue
//!   commit  run 3, 5, 9 written, then the layer's entry: generation 7      (one update; packets never stop)
//!           the former run is left alone for a while, for packets that found it
//! ```
//!
//! Where a destination *is* may change at any time, without a version: that is its own entry.

use super::chunks::Chunks;
use super::layout::{Destination, Label, Layer};
use super::limits::{CHUNK, REMEMBERED, ROUTES_AT_ONCE, VERSION_INTERVAL};
use super::next_hop::{NextHop, Question};
use router::limits::EXPRESS_VERSIONS;
use router::{Event, ExpressVersion, LayerId, LayerSpec, LinkId, LinkSpec, Order, Path, Rate};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::mark::Marks;
use wire::{Kind, Ssrc};

/// The first version of every layer. No mark that somebody else makes is likely to lie close above it.
pub(super) const FIRST_GENERATION: u32 = router::limits::EXPRESS_GENERATION_MIN;

/// The kernel's tables; [`super::Program`] documents them.
pub(super) trait Tables {
    fn place(&mut self, number: u32, destination: &Destination) -> bool;
    fn displace(&mut self, number: u32);
    fn write_run(&mut self, chunks: &[u32], numbers: &[u32]) -> bool;
    fn serve(&mut self, label: &Label, layer: &Layer) -> bool;
    fn stop_serving(&mut self, label: &Label);
}

/// How full the plane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Layers that are served.
    pub(crate) layers: u64,
    /// Routes that are served: destinations of all layers.
    pub(crate) routes: u64,
    /// Links that are bound over UDP and have a next hop.
    pub(crate) links: u64,
    /// Times the kernel refused an entry; what it was for stays on the sockets.
    pub(crate) refused: u64,
}

/// The state.
pub(super) struct Plane {
    marks: Marks,
    links: HashMap<u32, Link>,
    layers: HashMap<u32, Served>,
    /// Layers whose destinations, or publisher, may have changed since they were looked at.
    dirty: BTreeSet<u32>,
    /// Those of them where somebody is served by the kernel who can't be, or who is served another layer now: packets
    /// are lost or sent for nothing until the next version.
    urgent: BTreeSet<u32>,
    /// Layers with a version that workers were told of and the kernel not yet.
    planned: Vec<u32>,
    /// Who goes to the same address from the same socket has the same next hop.
    next_hops: HashMap<Question, Known>,
    questions: VecDeque<(Question, bool)>,
    chunks: Chunks,
    numbers_given: u32,
    refused: u64,
}

struct Link {
    id: LinkId,
    kind: Kind,
    /// In runs. Never given away again, so that nothing of a meeting reaches a link outside it.
    number: u32,
    path: Option<(u8, SocketAddr)>,
    /// The kernel knows where it is.
    placed: bool,
    /// Layers it publishes, and layers routed to it.
    layers: BTreeSet<u32>,
    routes: BTreeSet<u32>,
}

#[derive(Default)]
struct Known {
    next_hop: Option<NextHop>,
    links: BTreeSet<u32>,
}

/// A layer.
struct Served {
    id: LayerId,
    link: u32,
    ssrc: Ssrc,
    kind: Kind,
    rate: Rate,
    routes: BTreeSet<u32>,
    generation: u32,
    /// When its last versions came into effect: as many as workers remember, but one.
    changed_at: VecDeque<Instant>,
    /// What workers were told, as long as the kernel was not.
    planned: Option<Version>,
    /// What the kernel does.
    current: Option<(Version, Vec<u32>)>,
    /// Under what the kernel knows the layer while it serves nobody of it: so it has seen the last packets when somebody is
    /// to be served, and tells a repeated one from a new one.
    watched: Option<Label>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    label: Label,
    size_max: u32,
    links: Vec<u32>,
}

impl Plane {
    pub(super) fn new(marks: Marks, chunks: u32) -> Self {
        Self {
            marks,
            links: HashMap::new(),
            layers: HashMap::new(),
            dirty: BTreeSet::new(),
            urgent: BTreeSet::new(),
            planned: Vec::new(),
            next_hops: HashMap::new(),
            questions: VecDeque::new(),
            chunks: Chunks::new(chunks),
            numbers_given: 0,
            refused: 0,
        }
    }

    /// An order that goes to the workers, too.
    pub(super) fn hear_order(&mut self, order: &Order, now: Instant, tables: &mut impl Tables) {
        match order {
            Order::AddLink(spec) => self.add_link(spec),
            Order::RemoveLink(id) => self.remove_link(*id, tables),
            Order::AddLayer(spec) => self.add_layer(spec),
            Order::RemoveLayer(id) => self.remove_layer(*id, now, tables),
            Order::Route { layer, link } => self.route(layer.index, link.index, true),
            Order::Unroute { layer, link } => self.route(layer.index, link.index, false),
            Order::Mark(marks) => self.mark(*marks, tables),
            // Whoever switches first tells, and then it is ordered as routes.
            Order::Switch { .. } | Order::Rollover { .. } | Order::Express(_) => {}
        }
    }

    /// What a worker tells of a link. What it says of one that is gone is passed over.
    pub(super) fn hear_event(&mut self, event: &Event, tables: &mut impl Tables) {
        match event {
            Event::Bound { link, path, .. } => {
                let path = match path {
                    Path::Udp { socket, remote } => Some((*socket, *remote)),
                    Path::Stream { .. } => None,
                };
                self.bind(*link, path, tables);
            }
            Event::ConsentLost { link } => self.bind(*link, None, tables),
            // Routes follow by orders.
            Event::Switched { from, to, .. } => self.urgent.extend([from.index, to.index]),
            Event::Level { .. } | Event::Rollover { .. } => {}
        }
    }

    /// The next hop of an address is known, is another, or (`None`) there is none that the plane can use.
    pub(super) fn hear_next_hop(
        &mut self,
        question: &Question,
        next_hop: Option<NextHop>,
        tables: &mut impl Tables,
    ) {
        let Some(known) = self.next_hops.get_mut(question) else { return };
        if known.next_hop == next_hop {
            return;
        }
        known.next_hop = next_hop;
        for link in known.links.clone() {
            self.place(link, tables);
            self.look_at_routes_of(link);
        }
    }

    /// What is to be asked about an address: its next hop, from now on (true) or no longer.
    pub(super) fn poll_question(&mut self) -> Option<(Question, bool)> {
        self.questions.pop_front()
    }

    /// Decides new versions; every worker must have these orders before [`Plane::commit`].
    pub(super) fn plan(&mut self, now: Instant, tables: &mut impl Tables) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut looked_at = 0;
        for index in self.dirty.clone() {
            let Some(layer) = self.layers.get(&index) else {
                self.dirty.remove(&index);
                continue;
            };
            let due = layer.may_change_at(self.urgent.contains(&index));
            if looked_at > ROUTES_AT_ONCE
                || layer.planned.is_some()
                || due.is_some_and(|due| due > now)
            {
                continue;
            }
            looked_at += layer.routes.len() + 1;
            self.dirty.remove(&index);
            self.urgent.remove(&index);
            let version = self.version_of(layer);
            orders.extend(self.plan_layer(index, version, now, tables));
        }
        orders
    }

    /// Whether [`Plane::commit`] has something to do.
    pub(super) fn has_plans(&self) -> bool {
        !self.planned.is_empty()
    }

    /// Brings into effect what was planned. What the kernel refuses stays on the sockets.
    pub(super) fn commit(&mut self, now: Instant, tables: &mut impl Tables) {
        for index in std::mem::take(&mut self.planned) {
            let planned = self.layers.get_mut(&index).and_then(|layer| layer.planned.take());
            let Some(version) = planned else { continue };
            if !self.commit_layer(index, version, now, tables) {
                self.refused += 1;
                self.end(index, now, tables);
                self.watch(index, tables);
            }
        }
    }

    /// When [`Plane::plan`] has something to do.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let due = |index: &u32| {
            let layer = self.layers.get(index).filter(|layer| layer.planned.is_none())?;
            Some(layer.may_change_at(self.urgent.contains(index)).unwrap_or(now))
        };
        self.dirty.iter().filter_map(due).min()
    }

    /// A layer's label, and how many destinations of it are served.
    pub(super) fn layer(&self, index: u32) -> Option<(Ssrc, u64)> {
        let layer = self.layers.get(&index)?;
        let current = layer.current.as_ref();
        Some((layer.ssrc, current.map_or(0, |(version, _)| version.links.len() as u64)))
    }

    /// How full it is.
    pub(super) fn extent(&self) -> Extent {
        let current = || self.layers.values().filter_map(|layer| layer.current.as_ref());
        Extent {
            layers: current().count() as u64,
            routes: current().map(|(version, _)| version.links.len() as u64).sum(),
            links: self.links.values().filter(|link| link.placed).count() as u64,
            refused: self.refused,
        }
    }

    fn add_link(&mut self, spec: &LinkSpec) {
        self.numbers_given += 1;
        let link = Link {
            id: spec.id,
            kind: spec.kind,
            number: self.numbers_given,
            path: None,
            placed: false,
            layers: BTreeSet::new(),
            routes: BTreeSet::new(),
        };
        self.links.insert(spec.id.index, link);
    }

    fn remove_link(&mut self, id: LinkId, tables: &mut impl Tables) {
        self.bind(id, None, tables);
        self.links.remove(&id.index);
    }

    fn add_layer(&mut self, spec: &LayerSpec) {
        let layer = Served {
            id: spec.id,
            link: spec.link.index,
            ssrc: spec.ssrc,
            kind: spec.kind,
            rate: Rate::of_layer(spec.max_bitrate),
            routes: BTreeSet::new(),
            generation: FIRST_GENERATION,
            changed_at: VecDeque::new(),
            planned: None,
            current: None,
            watched: None,
        };
        self.layers.insert(spec.id.index, layer);
        if let Some(link) = self.links.get_mut(&spec.link.index) {
            link.layers.insert(spec.id.index);
        }
        self.dirty.insert(spec.id.index);
    }

    fn remove_layer(&mut self, id: LayerId, now: Instant, tables: &mut impl Tables) {
        self.end(id.index, now, tables);
        let Some(layer) = self.layers.remove(&id.index) else { return };
        if let Some(label) = layer.watched {
            tables.stop_serving(&label);
        }
        if let Some(link) = self.links.get_mut(&layer.link) {
            link.layers.remove(&id.index);
        }
    }

    fn route(&mut self, layer: u32, link: u32, routed: bool) {
        let (Some(served), Some(subscriber)) =
            (self.layers.get_mut(&layer), self.links.get_mut(&link))
        else {
            return;
        };
        let changed = if routed {
            subscriber.routes.insert(layer);
            served.routes.insert(link)
        } else {
            subscriber.routes.remove(&layer);
            served.routes.remove(&link)
        };
        if changed {
            self.dirty.insert(layer);
        }
    }

    fn mark(&mut self, marks: Marks, tables: &mut impl Tables) {
        self.marks = marks;
        let placed: Vec<u32> =
            self.links.iter().filter(|(_, link)| link.placed).map(|(index, _)| *index).collect();
        placed.into_iter().for_each(|link| self.place(link, tables));
    }

    fn bind(&mut self, id: LinkId, path: Option<(u8, SocketAddr)>, tables: &mut impl Tables) {
        let Some(link) = self.links.get_mut(&id.index).filter(|link| link.id == id) else { return };
        if link.path == path {
            return;
        }
        let before = std::mem::replace(&mut link.path, path);
        let published = link.layers.clone();
        let (before, after) = (before.map(Question::of), path.map(Question::of));
        if before != after {
            before.into_iter().for_each(|question| self.forget(question, id.index));
            after.into_iter().for_each(|question| self.ask(question, id.index));
        }
        self.place(id.index, tables);
        let Some(link) = self.links.get(&id.index) else { return };
        if !link.placed {
            // Nothing more goes to where it was.
            tables.displace(link.number);
        }
        self.urgent.extend(link.routes.iter().chain(&published));
        self.dirty.extend(link.routes.iter().chain(&published));
    }

    fn ask(&mut self, question: Question, link: u32) {
        let known = self.next_hops.entry(question).or_default();
        if known.links.is_empty() {
            self.questions.push_back((question, true));
        }
        known.links.insert(link);
    }

    fn forget(&mut self, question: Question, link: u32) {
        let Some(known) = self.next_hops.get_mut(&question) else { return };
        known.links.remove(&link);
        if known.links.is_empty() {
            self.next_hops.remove(&question);
            self.questions.push_back((question, false));
        }
    }

    /// Tells the kernel where a link is. One whose next hop was lost is left where it was: who goes there moves to the
    /// sockets by a version.
    fn place(&mut self, index: u32, tables: &mut impl Tables) {
        let Some(link) = self.links.get_mut(&index) else { return };
        link.placed = false;
        let Some((socket, remote)) = link.path else { return };
        let known = self.next_hops.get(&Question::of((socket, remote)));
        let Some(next_hop) = known.and_then(|known| known.next_hop.as_ref()) else { return };
        let destination = Destination {
            index,
            device: next_hop.device,
            to_mac: next_hop.to_mac,
            from_mac: next_hop.from_mac,
            source: next_hop.source,
            remote,
            traffic_class: self.marks.of(link.kind).traffic_class(),
        };
        link.placed = tables.place(link.number, &destination);
        self.refused += u64::from(!link.placed);
    }

    fn look_at_routes_of(&mut self, link: u32) {
        if let Some(link) = self.links.get(&link) {
            self.dirty.extend(&link.routes);
        }
    }

    /// Whom the kernel can serve: `None` when nobody, or the publisher is not on UDP.
    fn version_of(&self, layer: &Served) -> Option<Version> {
        let (socket, source) = self.links.get(&layer.link)?.path?;
        let mut size_max = u32::MAX;
        let mut links = Vec::with_capacity(layer.routes.len());
        for index in &layer.routes {
            let Some(link) = self.links.get(index).filter(|link| link.placed) else { continue };
            let Some((socket, remote)) = link.path else { continue };
            let known = self.next_hops.get(&Question::of((socket, remote)));
            let Some(next_hop) = known.and_then(|known| known.next_hop) else { continue };
            // The headers are rewritten in their place.
            if remote.is_ipv4() != source.is_ipv4() {
                continue;
            }
            size_max = size_max.min(next_hop.size_max);
            links.push(*index);
        }
        let label = Label { socket, source, ssrc: layer.ssrc };
        (!links.is_empty()).then_some(Version { label, size_max, links })
    }

    fn plan_layer(
        &mut self,
        index: u32,
        version: Option<Version>,
        now: Instant,
        tables: &mut impl Tables,
    ) -> Option<Order> {
        let Some(version) = version else {
            self.end(index, now, tables);
            self.watch(index, tables);
            return None;
        };
        let layer = self.layers.get_mut(&index)?;
        if layer.current.as_ref().is_some_and(|(current, _)| *current == version) {
            return None;
        }
        layer.generation += 1;
        let order = ExpressVersion {
            layer: layer.id,
            generation: layer.generation,
            links: version.links.iter().copied().collect(),
        };
        layer.planned = Some(version);
        self.planned.push(index);
        Some(Order::Express(Arc::new(order)))
    }

    fn commit_layer(
        &mut self,
        index: u32,
        version: Version,
        now: Instant,
        tables: &mut impl Tables,
    ) -> bool {
        let Self { links, layers, chunks, .. } = self;
        let Some(layer) = layers.get_mut(&index) else { return true };
        layer.changed_at.push_back(now);
        if layer.changed_at.len() >= EXPRESS_VERSIONS {
            layer.changed_at.pop_front();
        }
        let Some(run) = chunks.take(version.links.len().div_ceil(CHUNK), now) else { return false };
        // No link has number 0: one that went meanwhile.
        let number = |link: &u32| links.get(link).map_or(0, |link| link.number);
        let numbers: Vec<u32> = version.links.iter().map(number).collect();
        let value = Layer {
            generation: layer.generation,
            chunk: run[0],
            count: u32::try_from(numbers.len()).unwrap_or(u32::MAX),
            index,
            rate: layer.rate,
            size_max: version.size_max,
            kind: layer.kind,
        };
        if !(tables.write_run(&run, &numbers) && tables.serve(&version.label, &value)) {
            chunks.give_back(run, now);
            return false;
        }
        let label = version.label;
        if let Some(watched) = layer.watched.take().filter(|watched| *watched != label) {
            tables.stop_serving(&watched);
        }
        if let Some((former, run)) = layer.current.replace((version, run)) {
            if former.label != label {
                tables.stop_serving(&former.label);
            }
            chunks.give_back(run, now);
        }
        true
    }

    /// Lets the kernel know a layer that nobody is served of, wherever its publisher is.
    fn watch(&mut self, index: u32, tables: &mut impl Tables) {
        let Some(layer) = self.layers.get_mut(&index) else { return };
        let path = self.links.get(&layer.link).and_then(|link| link.path);
        let label = path.map(|(socket, source)| Label { socket, source, ssrc: layer.ssrc });
        if layer.watched == label {
            return;
        }
        if let Some(former) = layer.watched.take() {
            tables.stop_serving(&former);
        }
        let Served { rate, kind, .. } = *layer;
        let value =
            Layer { generation: 0, chunk: 0, count: 0, index, rate, size_max: u32::MAX, kind };
        layer.watched = label.filter(|label| tables.serve(label, &value));
    }

    /// The layer is not served any more: its packets bear no mark, and workers serve everybody.
    fn end(&mut self, index: u32, now: Instant, tables: &mut impl Tables) {
        let Some(layer) = self.layers.get_mut(&index) else { return };
        layer.planned = None;
        if let Some((version, run)) = layer.current.take() {
            tables.stop_serving(&version.label);
            self.chunks.give_back(run, now);
        }
    }
}

impl Served {
    /// Workers remember so many versions: they must not go by faster than packets are read. Some may follow each other
    /// at once; on the average there is the interval between them.
    fn may_change_at(&self, urgent: bool) -> Option<Instant> {
        let remembered = (self.changed_at.len() + 1 == EXPRESS_VERSIONS)
            .then(|| self.changed_at.front().map(|at| *at + REMEMBERED))
            .flatten();
        let last = self.changed_at.back().filter(|_| !urgent).map(|at| *at + VERSION_INTERVAL);
        remembered.max(last)
    }
}

#[cfg(test)]
mod tests;
