//! A turn's dealings with other threads: bounded queues, emptied and filled without waiting.

use super::turn::{Flow, Worker};
use crate::exchange::{
    ControlEvent, ORDERS_PER_TURN_MAX, StreamArrival, StreamTransmit, WorkerOrder,
};
use crate::network::Network;
use crate::report::WorkerReport;
use router::{ConnectionId, DropReason, Path, Source, Transmit, WorkerId};
use std::time::Instant;

/// Messages of other workers one turn hears.
const PEER_MESSAGES_PER_TURN_MAX: usize = 1_024;

impl<N: Network> Worker<N> {
    /// Carries out what control ordered, in its sequence.
    pub(super) fn take_orders(&mut self, now: Instant) -> Flow {
        for _ in 0..ORDERS_PER_TURN_MAX {
            match self.port().orders.pop() {
                None => break,
                Some(WorkerOrder::Stop) => return Flow::Stop,
                Some(WorkerOrder::Router(order)) => self.router.apply(order, now),
                Some(WorkerOrder::Report(mut report)) => {
                    self.fill(&mut report);
                    self.post(ControlEvent::Report(report));
                    self.exchange.control.wake();
                }
            }
        }
        Flow::Continue
    }

    /// Hears what other workers say.
    pub(super) fn hear_peers(&mut self, now: Instant) {
        for _ in 0..PEER_MESSAGES_PER_TURN_MAX {
            let Some(message) = self.port().peers.pop() else { break };
            self.make_room();
            self.router.handle_peer(message, now, &mut self.outbox);
        }
    }

    /// Routes packets of TCP and TLS links, as many as there are slots for.
    pub(super) fn route_streams(&mut self, now: Instant) {
        while self.inbox.can_adopt() {
            match self.port().inbox.pop() {
                None => break,
                Some(StreamArrival::Closed { path }) => self.router.handle_closed(path, now),
                Some(StreamArrival::Packet { path, buffer, heard_at }) => {
                    let index = self.inbox.adopt(path, buffer.packet(), heard_at);
                    self.exchange.door.give_back(buffer);
                    match index {
                        Some(index) => self.route(index, now),
                        None => self.drops.count(DropReason::Malformed),
                    }
                }
            }
        }
    }

    /// Copies packets for TCP and TLS links to the door.
    pub(super) fn hand_streams_over(&mut self) {
        let mut handed = false;
        for i in 0..self.outbox.streams().len() {
            let transmit = self.outbox.streams()[i];
            let Some(Path::Stream { connection, .. }) = self.router.path(transmit.link) else {
                let packets = u64::from(transmit.payload.packets());
                self.drops.add(DropReason::Unbound, packets);
                continue;
            };
            handed |= self.hand_over(connection, &transmit);
        }
        if handed {
            self.exchange.door.waker.wake();
        }
    }

    /// Hands the packets of one transmit over; answers whether any was.
    fn hand_over(&mut self, connection: ConnectionId, transmit: &Transmit) -> bool {
        let Transmit { kind, payload, .. } = *transmit;
        let bytes = self.inbox.payload(&payload, self.outbox.arena());
        let bytes = bytes.expect("the router names only slots of this turn and its own arena");
        let heard_at = match payload.source {
            Source::Slot(slot) => self.inbox.heard_at(slot),
            Source::Arena => self.statistics.last_turn,
        };
        let door = &self.exchange.door;
        let mut handed = false;
        for packet in bytes.chunks(usize::from(payload.segment)) {
            let Some(mut buffer) = door.free.pop() else {
                self.drops.count(DropReason::StreamQueueFull);
                continue;
            };
            if buffer.fill(packet).is_none() {
                self.drops.count(DropReason::Oversized);
                door.give_back(buffer);
                continue;
            }
            let packet = StreamTransmit { connection, kind, buffer, heard_at };
            if let Err(packet) = door.outgoing.push(packet) {
                self.drops.count(DropReason::StreamQueueFull);
                door.give_back(packet.buffer);
                continue;
            }
            handed = true;
        }
        handed
    }

    /// Passes on what other workers must hear.
    pub(super) fn tell_peers(&mut self) {
        let exchange = &*self.exchange;
        let mut told: u64 = 0;
        while let Some((to, message)) = self.router.poll_peer() {
            for (other, port) in (0..).map(WorkerId).zip(&exchange.workers) {
                if other == self.id || to.is_some_and(|to| to != other) {
                    continue;
                }
                match port.peers.push(message) {
                    Ok(()) => told |= 1 << other.0,
                    Err(_) => self.drops.count(DropReason::PeerQueueFull),
                }
            }
        }
        for (index, port) in exchange.workers.iter().enumerate() {
            if told & (1 << index) != 0 {
                port.waker.wake();
            }
        }
    }

    /// Passes on what control must hear. What its queue has no room for the router takes back, for a later turn.
    pub(super) fn tell_control(&mut self, now: Instant) {
        let mut told = false;
        for _ in 0..self.router.events() {
            let Some(event) = self.router.poll_event() else { break };
            if self.post(ControlEvent::Router(self.id, event)) {
                told = true;
            } else {
                self.router.handle_untold(event, now);
            }
        }
        if told {
            self.exchange.control.wake();
        }
    }

    fn post(&mut self, event: ControlEvent) -> bool {
        let posted = self.exchange.events.push(event).is_ok();
        if !posted {
            self.drops.count(DropReason::EventQueueFull);
        }
        posted
    }

    fn fill(&self, report: &mut WorkerReport) {
        let network = self.network.counters();
        report.worker = self.id;
        report.counters = *self.router.counters();
        report.drops = self.drops.clone();
        report.drops.merge(self.router.drops());
        report.drops.merge(self.inbox.drops());
        report.kernel_drops = network.kernel_drops;
        report.ring_overflows = network.ring_overflows;
        report.gso_refused = network.gso_refused;
        self.statistics.fill(report);
    }
}
