//! The data plane of one worker: looks up, never decides.
//!
//! | file | idea |
//! | --- | --- |
//! | `forward` | what a packet goes through until it is taken or dropped |
//! | `fanout` | one run of packets to every destination |
//! | `binding` | STUN, consent, what other workers heard |
//! | `feedback` | RTCP in: NACK, PLI, sender reports |
//! | `reports` | RTCP out: NACKs and PLIs upstream, reports, relays |
//! | `orders` | what control says |
//! | `timers` | what is due, and when |
//! | `links`, `link`, `path_key`, `layers`, `lists`, `switches`, `history`, `gaps` | tables |
//! | `ingress`, `level`, `police`, `express` | state of one layer |
//! | `overload` | what is given up when the worker can't keep up |
//! | `clock`, `wheel` | time |
//!
//! All tables are taken when the router is made. Orders bring and take away what control allocated; nothing else
//! allocates.

mod binding;
mod clock;
mod express;
mod fanout;
mod feedback;
mod forward;
mod gaps;
mod history;
mod ingress;
mod layers;
mod level;
mod link;
mod links;
mod lists;
mod orders;
mod overload;
mod path_key;
mod police;
mod reports;
mod switches;
#[cfg(test)]
mod tests;
mod timers;
mod wheel;

use crate::{DropCounters, DropReason, Event, LinkChange, Order, Outbox, Path, PeerMessage};
use crate::{Occupancy, SlotId, WorkerId, limits};
use clock::Clock;
use gaps::Gaps;
use history::History;
use layers::Layers;
use links::Links;
use lists::Lists;
use overload::Overload;
pub use police::Rate;
use std::collections::VecDeque;
use std::time::Instant;
use switches::Switches;
use timers::Timers;
use wire::mark::Marks;

/// What a router is made with; sizes are taken at start and never grow.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// Which worker.
    pub worker: WorkerId,
    /// How many workers there are.
    pub workers: u8,
    /// Room for links, at most `limits::LINKS_MAX`.
    pub links: u32,
    /// Room for layers, at most `limits::LAYERS_MAX`.
    pub layers: u32,
    /// Room for routes, at most `limits::ROUTES_MAX`.
    pub routes: u32,
    /// Packets kept for retransmission, all layers together.
    pub history_packets: u32,
    /// When the worker started; no later `now` lies before it.
    pub started: Instant,
}

/// What was heard: one packet, or a train of equal packets (the last may be shorter) from one path.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// From where.
    pub path: Path,
    /// The slot the bytes are in, for [`crate::Source::Slot`].
    pub slot: SlotId,
    /// Where in the slot the bytes begin.
    pub offset: u32,
    /// The packets.
    pub bytes: &'a [u8],
    /// Size of each packet but the last.
    pub segment: u16,
    /// The kernel's mark: which version of the layer's destinations it has served already; 0: none.
    pub mark: u32,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams, or RFC 4571 frames.
    pub packets: u64,
    /// Their bytes, without headers below RTP.
    pub bytes: u64,
}

/// What a router counts beside drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Accepted media, by `Kind::index`.
    pub received: [Traffic; 3],
    /// Queued for links that are bound, by `Kind::index`: media, retransmissions, RTCP and STUN alike.
    pub sent: [Traffic; 3],
    /// STUN checks answered.
    pub stun: u64,
    /// RTCP compounds accepted.
    pub rtcp: u64,
    /// Packets sent again from the history.
    pub retransmitted: u64,
}

/// Everything counted.
#[derive(Default)]
struct Tally {
    counters: Counters,
    drops: DropCounters,
}

/// The data plane of one worker.
pub struct Router {
    worker: WorkerId,
    workers: u8,
    clock: Clock,
    links: Links,
    layers: Layers,
    /// Links by layer.
    routes: Lists,
    switches: Switches,
    history: History,
    gaps: Gaps,
    timers: Timers,
    overload: Overload,
    tally: Tally,
    events: VecDeque<Event>,
    peers: VecDeque<(Option<WorkerId>, PeerMessage)>,
    marks: Option<Marks>,
}

impl Router {
    /// Takes all its memory. Panics when a size is above its limit.
    pub fn new(config: RouterConfig) -> Self {
        assert!(config.links <= limits::LINKS_MAX, "links above LINKS_MAX");
        assert!(config.layers <= limits::LAYERS_MAX, "layers above LAYERS_MAX");
        assert!(config.routes <= limits::ROUTES_MAX, "routes above ROUTES_MAX");
        assert!(usize::from(config.workers) <= limits::WORKERS_MAX, "workers above WORKERS_MAX");
        assert!(config.worker.0 < config.workers, "a worker's number is below their count");
        Self {
            worker: config.worker,
            workers: config.workers,
            clock: Clock::new(config.started),
            links: Links::new(config.links),
            layers: Layers::new(config.layers),
            routes: Lists::new(config.layers, config.routes),
            switches: Switches::new(config.layers, config.routes / limits::ROUTES_PER_SWITCH + 1),
            history: History::new(config.history_packets),
            gaps: Gaps::new(config.layers),
            timers: Timers::new(config.links, config.layers),
            overload: Overload::default(),
            tally: Tally::default(),
            events: VecDeque::with_capacity(limits::ROUTER_EVENTS_MAX),
            peers: VecDeque::with_capacity(limits::ROUTER_PEERS_MAX),
            marks: None,
        }
    }
    /// Carries out an order of the control thread.
    pub fn apply(&mut self, order: Order, now: Instant) {
        let now = self.clock.stamp(now);
        self.carry_out(order, now);
    }
    /// Hears another worker.
    pub fn handle_peer(&mut self, message: PeerMessage, now: Instant, outbox: &mut Outbox) {
        let now = self.clock.stamp(now);
        self.hear_peer(message, now, outbox);
    }
    /// Hears the network. One arrival makes at most one transmit per packet and destination: with
    /// [`Outbox::room`] for `limits::DESTINATIONS_MAX` a train of one layer is never dropped half way.
    pub fn handle_arrival(&mut self, arrival: Arrival<'_>, now: Instant, outbox: &mut Outbox) {
        self.receive(arrival, now, outbox);
    }
    /// A TCP or TLS connection closed.
    pub fn handle_closed(&mut self, path: Path, now: Instant) {
        self.close(path, self.clock.stamp(now));
    }
    /// Control's queue had no room for an event: what must not be lost is told again.
    pub fn handle_untold(&mut self, event: Event, now: Instant) {
        self.take_back(event, self.clock.stamp(now));
    }
    /// Does what is due: consent, NACKs upstream, levels, reports. A bounded share of it; the rest stays due.
    pub fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        let now = self.clock.stamp(now);
        self.serve_timers(now, outbox);
    }
    /// A turn is over: how long it took, from the last arrival to the last send, decides what is given up.
    pub fn note_turn(&mut self, began: Instant, ended: Instant) {
        self.overload.note_turn(self.clock.stamp(began), self.clock.stamp(ended));
    }
    /// When `handle_timeout` is due next.
    pub fn poll_timeout(&self) -> Instant {
        self.clock.instant(self.next_due())
    }
    /// What the network must know before the outbox is transmitted; call until `None`.
    pub fn poll_change(&mut self) -> Option<LinkChange> {
        self.marks.take().map(LinkChange::Mark).or_else(|| self.links.poll_change())
    }
    /// What every other worker must hear (`None` in front: all others; else that one); call until `None`.
    pub fn poll_peer(&mut self) -> Option<(Option<WorkerId>, PeerMessage)> {
        self.peers.pop_front()
    }
    /// How many events wait for [`Router::poll_event`].
    pub fn events(&self) -> usize {
        self.events.len()
    }
    /// What control must hear; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
    /// The path of a link that is bound and has consent: where a [`Outbox::streams`] transmit goes.
    pub fn path(&self, link: u32) -> Option<Path> {
        self.links.at(link)?.path()
    }
    /// Counts since start.
    pub fn counters(&self) -> &Counters {
        &self.tally.counters
    }
    /// Drops counted here.
    pub fn drops(&self) -> &DropCounters {
        &self.tally.drops
    }

    /// How full the tables are.
    pub fn occupancy(&self) -> Occupancy {
        let count = |entries: usize| u32::try_from(entries).unwrap_or(u32::MAX);
        Occupancy {
            links: count(self.links.len()),
            paths: count(self.links.bound()),
            layers: count(self.layers.len()),
            routes: count(self.routes.len()),
            switches: count(self.switches.len()),
            missing: count(self.gaps.len()),
        }
    }

    /// Queues a message for one worker or, with `None`, all others.
    fn tell_peer(&mut self, to: Option<WorkerId>, message: PeerMessage) {
        if self.workers == 1 {
            return;
        }
        if self.peers.len() == limits::ROUTER_PEERS_MAX {
            return self.tally.drops.count(DropReason::PeerQueueFull);
        }
        self.peers.push_back((to, message));
    }

    fn may_tell_control(&self) -> bool {
        self.events.len() < limits::ROUTER_EVENTS_MAX
    }

    /// Queues an event; false when it was dropped.
    fn tell_control(&mut self, event: Event) -> bool {
        let room = self.events.len() < limits::ROUTER_EVENTS_MAX / share_of(&event);
        match room {
            true => self.events.push_back(event),
            false => self.tally.drops.count(DropReason::EventQueueFull),
        }
        room
    }
}

/// Levels leave half of the queue to what can't be said again so soon.
const fn share_of(event: &Event) -> usize {
    match event {
        Event::Level { .. } => 2,
        _ => 1,
    }
}
