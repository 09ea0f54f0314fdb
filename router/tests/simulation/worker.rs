//! One simulated worker: what `mmr`'s does in a turn, with every packet accounted for.

use crate::tables::Tables;
use crate::truth::Truth;
use router::{
    Arrival, ConnectionId, Counters, DropCounters, DropReason, Event, LinkChange, Order, Outbox,
    Path, Payload, PeerMessage, Router, RouterConfig, SlotId, Source, Traffic, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;
use wire::demux::{Class, classify};

/// Links, layers and routes a simulated worker has room for.
pub const LINKS: u32 = 48;
pub const LAYERS: u32 = 64;
pub const ROUTES: u32 = 256;
const HISTORY_PACKETS: u32 = 256;
/// What comes before a packet in its slot, so that offsets matter.
const HEADROOM: usize = 24;

/// What is known of something that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It may be taken.
    Anything,
    /// It must be dropped, and nothing may happen because of it.
    Nothing,
}

/// Something for a worker's sockets or from its door.
#[derive(Clone)]
pub enum Inbound {
    Packets { path: Path, bytes: Vec<u8>, segment: u16, expect: Expect },
    Closed(Path),
}

/// What a turn brought.
#[derive(Default)]
pub struct Outcome {
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    pub frames: Vec<(ConnectionId, Vec<u8>)>,
    pub peers: Vec<(Option<WorkerId>, PeerMessage)>,
    pub events: Vec<Event>,
}

pub struct Worker {
    id: WorkerId,
    pub router: Router,
    tables: Tables,
    pub orders: VecDeque<Order>,
    pub peers: VecDeque<PeerMessage>,
    pub inbox: VecDeque<Inbound>,
    /// The network's table.
    bindings: BTreeMap<u32, Path>,
    /// When its next turn is scheduled.
    pub turn_at: Option<Instant>,
}

/// Drops that are a packet's own end; the others are counted per route, per reply or per thing asked for.
const ENDS: [DropReason; 14] = [
    DropReason::Malformed,
    DropReason::Oversized,
    DropReason::Truncated,
    DropReason::Stranger,
    DropReason::UnknownUfrag,
    DropReason::StunForged,
    DropReason::CheckLimit,
    DropReason::Duplicate,
    DropReason::TooOld,
    DropReason::RtcpForged,
    DropReason::RtcpReplayed,
    DropReason::FeedbackLimit,
    DropReason::OverRate,
    DropReason::Overload,
];

impl Worker {
    pub fn new(id: WorkerId, workers: u8, started: Instant) -> Self {
        let config = RouterConfig {
            worker: id,
            workers,
            links: LINKS,
            layers: LAYERS,
            routes: ROUTES,
            history_packets: HISTORY_PACKETS,
            started,
        };
        Self {
            id,
            router: Router::new(config),
            tables: Tables::default(),
            orders: VecDeque::new(),
            peers: VecDeque::new(),
            inbox: VecDeque::new(),
            bindings: BTreeMap::new(),
            turn_at: None,
        }
    }

    /// Receive, take orders, route, tick, transmit.
    pub fn turn(&mut self, now: Instant, outbox: &mut Outbox, truth: &mut Truth) -> Outcome {
        let mut outcome = Outcome::default();
        assert!(outbox.is_empty(), "something was left in the outbox");
        while let Some(order) = self.orders.pop_front() {
            self.tables.apply(&order);
            self.router.apply(order, now);
            self.take_events(&mut outcome);
        }
        while let Some(message) = self.peers.pop_front() {
            self.hear_peer(message, now, outbox);
            self.take_events(&mut outcome);
        }
        let mut slots = Vec::new();
        while let Some(inbound) = self.inbox.pop_front() {
            match inbound {
                Inbound::Closed(path) => self.router.handle_closed(path, now),
                Inbound::Packets { path, bytes, segment, expect } => {
                    let slot = [&[0xdd; HEADROOM][..], &bytes].concat();
                    let id = SlotId(u16::try_from(slots.len()).unwrap());
                    self.hear(path, id, &slot, segment, expect, now, outbox, truth, &mut outcome);
                    slots.push(slot);
                }
            }
            self.take_events(&mut outcome);
        }
        if self.router.poll_timeout() <= now {
            self.router.handle_timeout(now, outbox);
            self.take_events(&mut outcome);
        }
        self.apply_changes();
        self.transmit(now, &slots, outbox, truth, &mut outcome);
        outbox.clear();
        outcome.peers.extend(std::iter::from_fn(|| self.router.poll_peer()));
        outcome
    }

    /// Nothing is left of anybody.
    pub fn assert_rest(&mut self) {
        assert!(self.tables.is_empty(), "an order is missing");
        assert!(self.bindings.is_empty(), "the network still has bindings: {:?}", self.bindings);
        let occupancy = self.router.occupancy();
        assert_eq!(occupancy, router::Occupancy::default(), "something is left in a router");
    }

    /// The tables never hold more than control ordered.
    pub fn assert_bounds(&self) {
        let occupancy = self.router.occupancy();
        assert_eq!(occupancy.links as usize, self.tables.links.len());
        assert_eq!(occupancy.layers as usize, self.tables.layers.len());
        assert_eq!(occupancy.routes as usize, self.tables.routes());
        assert!(occupancy.paths <= occupancy.links, "more paths than links");
        assert!(occupancy.switches <= occupancy.routes, "more switches than routes");
        assert!(self.bindings.len() <= self.tables.links.len(), "bindings of links that are gone");
    }

    fn hear_peer(&mut self, message: PeerMessage, now: Instant, outbox: &mut Outbox) {
        let allowed = match &message {
            PeerMessage::Nack { lost, .. } => u64::from(lost.len) * 17,
            _ => 0,
        };
        let before = self.router.counters().retransmitted;
        self.router.handle_peer(message, now, outbox);
        let sent = self.router.counters().retransmitted - before;
        assert!(sent <= allowed, "{sent} retransmissions for a NACK of {allowed}");
    }

    #[allow(clippy::too_many_arguments, reason = "an arrival and everything it is held against")]
    fn hear(
        &mut self,
        path: Path,
        slot: SlotId,
        bytes: &[u8],
        segment: u16,
        expect: Expect,
        now: Instant,
        outbox: &mut Outbox,
        truth: &mut Truth,
        outcome: &mut Outcome,
    ) {
        let train = &bytes[HEADROOM..];
        let arrival =
            Arrival { path, slot, offset: HEADROOM as u32, bytes: train, segment, mark: 0 };
        let ssrc = ssrc_of(train);
        if expect == Expect::Anything {
            train.chunks(segment.into()).for_each(|packet| truth.note_heard(path, packet, now));
        }
        let before = self.tables.destinations(ssrc);
        let account = Account::open(&self.router, outbox);
        self.router.handle_arrival(arrival, now, outbox);
        self.take_events(outcome);
        let after = self.tables.destinations(ssrc);
        let change = account.close(&self.router, outbox);
        let packets = train.len().div_ceil(segment.max(1).into()).max(1) as u64;
        change.assert_ended(packets, classify(train));
        change.assert_routed(&before, &after, slot, outbox);
        change.assert_repair_bounded(train);
        if expect == Expect::Nothing {
            change.assert_nothing_happened(packets);
        }
    }

    fn take_events(&mut self, outcome: &mut Outcome) {
        while let Some(event) = self.router.poll_event() {
            if let Event::Switched { from, to, link } = event {
                self.tables.switched(from.index, to.index, link.index);
            }
            outcome.events.push(event);
        }
    }

    fn apply_changes(&mut self) {
        while let Some(change) = self.router.poll_change() {
            match change {
                LinkChange::Bind { link, kind, path } => {
                    let spec = self.tables.links.get(&link).expect("a link nobody made was bound");
                    assert_eq!(spec.kind, kind);
                    assert!(matches!(path, Path::Udp { .. }), "only datagrams need a binding");
                    self.bindings.insert(link, path);
                }
                LinkChange::Unbind { link } => {
                    self.bindings.remove(&link).expect("a link was unbound that was not bound");
                }
                LinkChange::Mark(_) => {}
            }
        }
    }

    fn transmit(
        &self,
        now: Instant,
        slots: &[Vec<u8>],
        outbox: &Outbox,
        truth: &mut Truth,
        outcome: &mut Outcome,
    ) {
        let bytes = |payload: &Payload| -> Vec<Vec<u8>> {
            let source = match payload.source {
                Source::Slot(slot) => &slots[usize::from(slot.0)],
                Source::Arena => outbox.arena(),
            };
            let offset = payload.offset as usize;
            let train = &source[offset..offset + payload.len as usize];
            train.chunks(payload.segment.into()).map(<[u8]>::to_vec).collect()
        };
        for transmit in outbox.datagrams() {
            // Consent may have ended in this very turn: then the network has nowhere to send to.
            let Some(&path) = self.bindings.get(&transmit.link) else { continue };
            let link = &self.tables.links[&transmit.link];
            assert_eq!(link.kind, transmit.kind, "the mark of another kind");
            for packet in bytes(&transmit.payload) {
                truth.check_sent(self.id.0, link, path, &packet, now);
                outcome.datagrams.push((path.remote(), packet));
            }
        }
        for transmit in outbox.streams() {
            let path = self.router.path(transmit.link);
            let Some(path @ Path::Stream { connection, .. }) = path else { continue };
            let link = &self.tables.links[&transmit.link];
            assert_eq!(link.kind, transmit.kind, "the mark of another kind");
            for packet in bytes(&transmit.payload) {
                truth.check_sent(self.id.0, link, path, &packet, now);
                outcome.frames.push((connection, packet));
            }
        }
    }
}

/// The label a train's first packet claims to have.
fn ssrc_of(train: &[u8]) -> u32 {
    train.get(8..12).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
}

/// A router's counts before an arrival, and afterwards the difference.
struct Account {
    counters: Counters,
    drops: DropCounters,
    queued: usize,
}

impl Account {
    fn open(router: &Router, outbox: &Outbox) -> Self {
        Self { counters: *router.counters(), drops: router.drops().clone(), queued: queued(outbox) }
    }

    fn close(self, router: &Router, outbox: &Outbox) -> Change {
        let counters = router.counters();
        let sum = |traffic: &[Traffic; 3]| traffic.iter().map(|it| it.packets).sum::<u64>();
        let mut drops = DropCounters::default();
        for &reason in DropReason::ALL {
            drops.add(reason, router.drops().of(reason) - self.drops.of(reason));
        }
        Change {
            received: sum(&counters.received) - sum(&self.counters.received),
            sent: sum(&counters.sent) - sum(&self.counters.sent),
            stun: counters.stun - self.counters.stun,
            rtcp: counters.rtcp - self.counters.rtcp,
            retransmitted: counters.retransmitted - self.counters.retransmitted,
            drops,
            queued: queued(outbox) - self.queued,
        }
    }
}

/// What one arrival did.
#[derive(Debug)]
struct Change {
    received: u64,
    sent: u64,
    stun: u64,
    rtcp: u64,
    retransmitted: u64,
    drops: DropCounters,
    queued: usize,
}

impl Change {
    /// Every packet was taken, or dropped once.
    fn assert_ended(&self, packets: u64, class: Option<Class>) {
        let mut ended: u64 = ENDS.iter().map(|&reason| self.drops.of(reason)).sum();
        if class != Some(Class::Rtcp) {
            // Of RTCP that was taken a part may name a layer that is not the sender's, or come too often.
            ended += self.drops.of(DropReason::WrongSsrc) + self.drops.of(DropReason::ReportLimit);
        }
        let taken = self.received + self.stun + self.rtcp;
        assert_eq!(taken + ended, packets, "{packets} packets of {class:?} came: {self:?}");
    }

    /// Every packet of media that was taken left for every destination, or was dropped there with a reason.
    fn assert_routed(
        &self,
        before: &BTreeSet<u32>,
        after: &BTreeSet<u32>,
        slot: SlotId,
        outbox: &Outbox,
    ) {
        let mut offsets = BTreeSet::new();
        let mut left = 0;
        for transmit in outbox.datagrams().chain(outbox.streams()) {
            let payload = transmit.payload;
            if payload.source != Source::Slot(slot) {
                continue;
            }
            let link = transmit.link;
            assert!(before.contains(&link) || after.contains(&link), "link {link} has no route");
            for packet in 0..payload.packets() {
                let offset = payload.offset + packet * u32::from(payload.segment);
                assert!(offsets.insert((link, offset)), "a packet left twice for one link");
                left += 1;
            }
        }
        let dropped = self.drops.of(DropReason::Unbound) + self.drops.of(DropReason::OutboxFull);
        let least = self.received * before.intersection(after).count() as u64;
        let most = self.received * before.union(after).count() as u64;
        let accounted = left + if self.received > 0 { dropped } else { 0 };
        assert!(
            (least..=most).contains(&accounted),
            "{least} to {most} packets should be accounted for, {accounted} are: {self:?}"
        );
    }

    /// No more retransmissions than a compound of this length can ask for, twice at most (two workers' histories).
    fn assert_repair_bounded(&self, compound: &[u8]) {
        assert!(self.retransmitted <= compound.len() as u64 / 4 * 17, "{self:?}");
    }

    fn assert_nothing_happened(&self, packets: u64) {
        let taken = self.received + self.sent + self.stun + self.rtcp + self.queued as u64;
        assert_eq!(taken, 0, "a forgery had an effect: {self:?}");
        assert_eq!(self.drops.total(), packets, "a forgery was not counted once: {self:?}");
    }
}

fn queued(outbox: &Outbox) -> usize {
    outbox.datagrams().count() + outbox.streams().len()
}
