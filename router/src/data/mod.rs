//! The data plane of one worker: looks up, never decides.

use crate::{DropCounters, Event, LinkChange, Order, Outbox, Path, PeerMessage, SlotId, WorkerId};
use std::time::Instant;

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

/// The data plane of one worker.
pub struct Router {
    _todo: (),
}

impl Router {
    /// Takes all its memory.
    pub fn new(_config: RouterConfig) -> Self {
        todo!()
    }
    /// Carries out an order of the control thread.
    pub fn apply(&mut self, _order: Order, _now: Instant) {
        todo!()
    }
    /// Hears another worker.
    pub fn handle_peer(&mut self, _message: PeerMessage, _now: Instant, _outbox: &mut Outbox) {
        todo!()
    }
    /// Hears the network.
    pub fn handle_arrival(&mut self, _arrival: Arrival<'_>, _now: Instant, _outbox: &mut Outbox) {
        todo!()
    }
    /// A TCP or TLS connection closed.
    pub fn handle_closed(&mut self, _path: Path, _now: Instant) {
        todo!()
    }
    /// Does what is due: consent, NACKs upstream, levels, reports.
    pub fn handle_timeout(&mut self, _now: Instant, _outbox: &mut Outbox) {
        todo!()
    }
    /// When `handle_timeout` is due next.
    pub fn poll_timeout(&self) -> Instant {
        todo!()
    }
    /// What the network must know before the outbox is transmitted; call until `None`.
    pub fn poll_change(&mut self) -> Option<LinkChange> {
        todo!()
    }
    /// What every other worker must hear (`None` in front: all others; else that one); call until `None`.
    pub fn poll_peer(&mut self) -> Option<(Option<WorkerId>, PeerMessage)> {
        todo!()
    }
    /// What control must hear; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// The path of a link that is bound and has consent: where a [`Outbox::streams`] transmit goes.
    pub fn path(&self, _link: u32) -> Option<Path> {
        todo!()
    }
    /// Counts since start.
    pub fn counters(&self) -> &Counters {
        todo!()
    }
    /// Drops counted here.
    pub fn drops(&self) -> &DropCounters {
        todo!()
    }
}
