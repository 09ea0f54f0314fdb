//! What all connections of the door share, and the door's ends of the exchange.

use super::DoorConfig;
use super::admission::{Admission, Place};
use super::connection::Connection;
use super::limits::DoorLimits;
use super::queue::Total;
use super::room::Room;
use super::socket::Socket;
use crate::exchange::{
    ControlEvent, ControlStream, DoorOrder, Exchange, StreamArrival, StreamTransmit,
};
use router::{ConnectionId, DropReason, Path};
use rustls::ServerConfig;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use wire::Transport;
use wire::mark::Marks;

/// The stream thread's state. One thread, so cells; nothing is borrowed over an await.
pub(super) struct Hall<S> {
    pub(super) exchange: Arc<Exchange>,
    pub(super) limits: DoorLimits,
    marks: Cell<Marks>,
    tls: RefCell<Arc<ServerConfig>>,
    admission: Rc<RefCell<Admission>>,
    queued: Total,
    connections: RefCell<HashMap<ConnectionId, Rc<Connection<S>>>>,
    next: Cell<u64>,
    stopping: Cell<bool>,
    room: Room,
}

impl<S: Socket> Hall<S> {
    pub(super) fn new(config: &DoorConfig, exchange: Arc<Exchange>) -> Self {
        Self {
            limits: config.limits,
            marks: Cell::new(config.marks),
            tls: RefCell::new(Arc::clone(&config.tls_config)),
            room: Room::new(exchange.workers.len()),
            admission: Admission::new(config.limits),
            queued: Total::default(),
            connections: RefCell::default(),
            next: Cell::new(0),
            stopping: Cell::new(false),
            exchange,
        }
    }

    /// A place for a connection from `address`; `None`, and counted, when there is none.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place> {
        let place = Admission::admit(&self.admission, address);
        if place.is_none() || self.stopping.get() {
            self.refuse();
            return None;
        }
        place
    }

    /// Takes a connection in.
    pub(super) fn enter(
        &self,
        socket: S,
        transport: Transport,
        remote: SocketAddr,
        place: Place,
    ) -> Rc<Connection<S>> {
        let id = ConnectionId(self.next.get());
        self.next.set(id.0 + 1);
        let path = Path::Stream { connection: id, transport, remote };
        let queued = Rc::clone(&self.queued);
        let connection = Rc::new(Connection::new(socket, path, place, self.limits, queued));
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        self.gauge(transport).fetch_add(1, Ordering::Relaxed);
        connection
    }

    /// Forgets a connection, and what waited for it.
    pub(super) fn leave(&self, connection: &Connection<S>) {
        let removed = self.connections.borrow_mut().remove(&connection.id());
        assert!(removed.is_some(), "a connection leaves once");
        self.gauge(connection.path().transport()).fetch_sub(1, Ordering::Relaxed);
        self.add_drops(DropReason::StreamClosed, connection.forget_queue());
    }

    fn gauge(&self, transport: Transport) -> &std::sync::atomic::AtomicU64 {
        &self.exchange.door.connections[usize::from(transport == Transport::Tls)]
    }

    /// A limit or a deadline refused or ended a connection.
    pub(super) fn refuse(&self) {
        self.exchange.door.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The peer went before it had proved anything.
    pub(super) fn abandon(&self) {
        self.exchange.door.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_drop(&self, reason: DropReason) {
        self.add_drops(reason, 1);
    }

    pub(super) fn add_drops(&self, reason: DropReason, packets: u64) {
        self.exchange.door.drops[reason as usize].fetch_add(packets, Ordering::Relaxed);
    }

    /// Certificate and ALPN for new media connections.
    pub(super) fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.tls.borrow())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }

    /// Waits for room for what `connection` brings next; deliver it while holding what is answered.
    pub(super) async fn wait_for_room(&self, connection: &Connection<S>) -> impl Drop + '_ {
        let worker = self.worker_of(connection.path());
        let pointless = || self.is_stopping() || connection.is_closing();
        self.room.wait(&self.exchange, worker, pointless).await
    }

    /// Gives a packet to the connection's worker; call [`Hall::wake_worker`] after the last.
    pub(super) fn deliver(&self, path: Path, packet: &[u8], heard_at: Instant) {
        let Some(mut buffer) = self.exchange.door.free.pop() else {
            return self.count_drop(DropReason::StreamInboxFull);
        };
        if buffer.fill(packet).is_none() {
            self.exchange.door.give_back(buffer);
            return self.count_drop(DropReason::Oversized);
        }
        let worker = &self.exchange.workers[self.worker_of(path)];
        let arrival = StreamArrival::Packet { path, buffer, heard_at };
        if let Err(StreamArrival::Packet { buffer, .. }) = worker.inbox.push(arrival) {
            self.exchange.door.give_back(buffer);
            self.count_drop(DropReason::StreamInboxFull);
        }
    }

    /// Tells the worker that the connection ended; false when its inbox is full.
    pub(super) fn deliver_closed(&self, path: Path) -> bool {
        let pushed =
            self.exchange.workers[self.worker_of(path)].inbox.push(StreamArrival::Closed { path });
        self.wake_worker(path);
        pushed.is_ok()
    }

    pub(super) fn wake_worker(&self, path: Path) {
        self.exchange.workers[self.worker_of(path)].waker.wake();
    }

    fn worker_of(&self, path: Path) -> usize {
        let Path::Stream { connection, .. } = path else {
            unreachable!("the door has stream paths only")
        };
        let workers = self.exchange.workers.len() as u64;
        usize::try_from(connection.0 % workers).expect("less than the number of workers")
    }

    /// Passes a client on to control; false when control has no room.
    pub(super) fn pass_to_control(&self, stream: ControlStream) -> bool {
        let passed = self.exchange.events.push(ControlEvent::Accepted(stream)).is_ok();
        self.exchange.control.wake();
        passed
    }

    /// A packet from a worker: the first says that the connection is authentic, and its kind.
    pub(super) fn transmit(&self, transmit: StreamTransmit, now: Instant) {
        let connection = self.connections.borrow().get(&transmit.connection).cloned();
        match connection {
            Some(connection) if connection.confirm(transmit.kind, self.marks.get()) => {
                let (kind, heard_at) = (transmit.kind, transmit.heard_at);
                let drops = &mut |reason| self.count_drop(reason);
                connection.queue_packet(transmit.buffer.packet(), kind, heard_at, now, drops);
            }
            _ => self.count_drop(DropReason::StreamClosed),
        }
        self.exchange.door.give_back(transmit.buffer);
    }

    /// Carries out an order of control. Listeners are the caller's.
    pub(super) fn obey(&self, order: DoorOrder, now: Instant) {
        match order {
            DoorOrder::Close(id) => {
                let connection = self.connections.borrow().get(&id).cloned();
                if let Some(connection) = connection {
                    connection.close(now);
                }
            }
            DoorOrder::Mark(marks) => {
                self.marks.set(marks);
                self.connections.borrow().values().for_each(|connection| connection.mark(marks));
            }
            DoorOrder::Certificates(config) => *self.tls.borrow_mut() = config,
            DoorOrder::Stop => {
                self.stopping.set(true);
                self.connections.borrow().values().for_each(|connection| connection.close(now));
            }
        }
    }

    /// Cuts what did not take its goodbye in time.
    pub(super) fn cut_all(&self) {
        self.connections.borrow().values().for_each(|connection| connection.hang_up());
    }
}
