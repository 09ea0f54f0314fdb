//! One pass of a worker, from receive to transmit: the packet's way, on one screen.

use super::statistics::Statistics;
use crate::exchange::{Exchange, WorkerPort};
use crate::network::{Inbox, Network};
use router::{DropCounters, Outbox, Router, RouterConfig, WorkerId, limits};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of own packets (STUN answers, RTCP, retransmissions) a worker can queue before it must
/// transmit: the retransmissions of a second's worth of video to one link.
const ARENA_LEN: usize = 4 << 20;
/// Longest sleep: how often an idle worker shows that it is alive.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next turn.
    Continue,
    /// No further: control said so.
    Stop,
}

/// What a worker's thread runs.
pub struct Worker<N> {
    pub(super) id: WorkerId,
    pub(super) exchange: Arc<Exchange>,
    pub(super) network: N,
    pub(super) router: Router,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    /// What left the router and did not leave the machine.
    pub(super) drops: DropCounters,
    pub(super) statistics: Statistics,
}

impl<N: Network> Worker<N> {
    /// Takes all the memory its turns need. The network must be of `inbox`'s slots and of the
    /// exchange's waker.
    pub fn new(network: N, inbox: Inbox, router: RouterConfig, exchange: Arc<Exchange>) -> Self {
        Self {
            id: router.worker,
            statistics: Statistics::new(&inbox),
            exchange,
            network,
            router: Router::new(router),
            inbox,
            outbox: Outbox::new(ARENA_LEN),
            drops: DropCounters::default(),
        }
    }

    /// One turn: receive, take orders, route, tick, transmit. Allocates nothing, takes no lock,
    /// logs nothing.
    ///
    /// # Errors
    /// The network is broken.
    pub fn turn(&mut self) -> io::Result<Flow> {
        let deadline = self.sleep_until();
        let now = self.network.receive(deadline, &mut self.inbox)?;
        self.port().waker.awake();
        let flow = self.take_orders(now);
        self.hear_peers(now);
        self.route_datagrams(now);
        self.route_streams(now);
        if self.router.poll_timeout() <= now {
            self.make_room();
            self.router.handle_timeout(now, &mut self.outbox);
        }
        let end = self.transmit();
        self.tell_peers();
        self.tell_control(now);
        self.beat(now, end);
        Ok(flow)
    }

    /// How long to wait for packets: not at all while a queue has something, else until the router
    /// has work to do.
    fn sleep_until(&self) -> Instant {
        let port = self.port();
        port.waker.fall_asleep();
        if port.has_waiting() {
            return self.statistics.last_turn;
        }
        self.router.poll_timeout().min(self.statistics.last_turn + HEARTBEAT)
    }

    /// Routes what the network heard: trains and single packets, in the order of their arrival.
    fn route_datagrams(&mut self, now: Instant) {
        for index in 0..self.inbox.len() {
            self.route(index, now);
        }
        self.statistics.note_batch(&self.inbox);
    }

    /// Routes one arrival.
    pub(super) fn route(&mut self, index: usize, now: Instant) {
        self.make_room();
        let (sent, arrival) = (self.sent(), self.inbox.arrival(index));
        self.router.handle_arrival(arrival, now, &mut self.outbox);
        if self.sent() != sent {
            self.statistics.note_forwarded(self.inbox.heard_at(arrival.slot));
        }
    }

    /// Transmits early when the outbox might not hold what one more arrival causes.
    pub(super) fn make_room(&mut self) {
        let destinations = limits::DESTINATIONS_MAX as usize;
        if self.outbox.room() < destinations || self.outbox.arena().len() > ARENA_LEN / 2 {
            self.transmit();
        }
    }

    /// Sends all that is queued, datagrams to the kernel and the rest to the door; answers when
    /// that was done.
    fn transmit(&mut self) -> Instant {
        while let Some(change) = self.router.poll_change() {
            let applied = self.network.apply(change);
            applied.expect("the router binds links of its table to paths of this network");
        }
        let begin = Instant::now();
        self.network.transmit(&self.outbox, &self.inbox, &mut self.drops);
        self.hand_streams_over();
        self.outbox.clear();
        let end = Instant::now();
        self.statistics.note_transmission(begin, end);
        end
    }

    pub(super) fn port(&self) -> &WorkerPort {
        &self.exchange.workers[usize::from(self.id.0)]
    }

    /// Packets queued for links since start.
    fn sent(&self) -> u64 {
        self.router.counters().sent.iter().map(|traffic| traffic.packets).sum()
    }

    fn beat(&mut self, now: Instant, end: Instant) {
        self.statistics.note_turn(now, end);
        self.router.note_turn(now, end);
        self.port().beat(end.saturating_duration_since(self.exchange.started));
    }
}
