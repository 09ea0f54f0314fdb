//! The bounded queues between threads, and how a sleeping thread is woken.
//!
//! ```text
//!   control ──orders──▶ worker ──events──▶ control
//!   worker  ──peers───▶ worker
//!   door    ──inbox───▶ worker ──outgoing──▶ door      buffers go back and forth by `free`
//!   door    ──control channels, closed paths──▶ control, worker
//! ```

use crate::report::WorkerReport;
use crossbeam::queue::ArrayQueue;
use nix::sys::eventfd::{EfdFlags, EventFd};
use router::{ConnectionId, Event, Order, Path, PeerMessage, WorkerId};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::Kind;
use wire::limits::PACKET_LEN_MAX;

/// Orders a worker may have waiting; control keeps what does not fit and tries again.
pub const ORDERS_MAX: usize = 8_192;
/// Orders one turn of a worker carries out: few enough that audio does not wait for them.
pub const ORDERS_PER_TURN_MAX: usize = 1_024;
/// Messages from other workers a worker may have waiting.
pub const PEER_MESSAGES_MAX: usize = 8_192;
/// Packets of TCP and TLS links a worker may have waiting.
pub const STREAM_INBOX_MAX: usize = 4_096;
/// Packets a door may have waiting.
pub const STREAM_OUTGOING_MAX: usize = 8_192;
/// Buffers for packets of TCP and TLS links, in all.
pub const STREAM_BUFFERS_MAX: usize = 16_384;
/// Events control may have waiting.
pub const EVENTS_MAX: usize = 16_384;

const _: () = assert!(STREAM_INBOX_MAX + STREAM_OUTGOING_MAX <= STREAM_BUFFERS_MAX);

/// Wakes a thread that sleeps in the kernel, with one system call and only when it really sleeps.
pub struct Waker {
    event: EventFd,
    asleep: AtomicBool,
}

impl Waker {
    /// An eventfd, non-blocking.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { event, asleep: AtomicBool::new(false) })
    }

    /// After pushing: wakes the owner if it sleeps.
    pub fn wake(&self) {
        // Pairs with the fence of `fall_asleep`: either the owner sees what was pushed, or we see
        // it asleep.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // The only error is a full counter, which wakes as well.
            let _ = self.event.write(1);
        }
    }

    /// The owner says it will sleep; it must look at its queues once more after this.
    pub fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// The owner is awake again; clears the event if it was rung.
    pub fn awake(&self) {
        if !self.asleep.swap(false, Ordering::SeqCst) {
            // EAGAIN when who rang has not come to writing yet: the next sleep then ends at once,
            // for nothing.
            let _ = self.event.read();
        }
    }

    /// Readable when rung.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// A packet's memory on its way between a door and a worker. Never allocated after start.
pub struct PacketBuffer {
    bytes: Box<[u8; PACKET_LEN_MAX]>,
    len: usize,
}

impl PacketBuffer {
    fn new() -> Self {
        Self { bytes: Box::new([0; PACKET_LEN_MAX]), len: 0 }
    }
    /// Copies a packet in; `None` when it is too large.
    pub fn fill(&mut self, packet: &[u8]) -> Option<()> {
        self.bytes.get_mut(..packet.len())?.copy_from_slice(packet);
        self.len = packet.len();
        Some(())
    }
    /// The packet.
    pub fn packet(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Door → worker.
pub enum StreamArrival {
    /// A packet of a connection.
    Packet {
        /// The connection.
        path: Path,
        /// The packet.
        buffer: PacketBuffer,
        /// When it was read.
        heard_at: Instant,
    },
    /// The connection closed.
    Closed {
        /// The connection.
        path: Path,
    },
}

/// Worker → door: a packet for a connection.
pub struct StreamTransmit {
    /// Which.
    pub connection: ConnectionId,
    /// Decides the connection's DSCP; the first one also tells the door that the connection was
    /// authenticated.
    pub kind: Kind,
    /// The packet.
    pub buffer: PacketBuffer,
    /// When it was heard; what is too old by the time it could be written is dropped.
    pub heard_at: Instant,
}

/// Control → door.
pub enum DoorOrder {
    /// The link is gone.
    Close(ConnectionId),
    /// New DSCP marks.
    Mark(wire::mark::Marks),
    /// New certificates for new connections.
    Certificates(std::sync::Arc<rustls::ServerConfig>),
    /// Close everything and end.
    Stop,
}

/// A TLS connection whose client wants the control channel: the door read the ClientHello and
/// passes it on.
pub struct ControlStream {
    /// The connection.
    pub socket: std::net::TcpStream,
    /// What was read of it.
    pub hello: Vec<u8>,
    /// The peer.
    pub remote: std::net::SocketAddr,
}

/// Control → worker.
pub enum WorkerOrder {
    /// For its router.
    Router(Order),
    /// Fill this in and send it back as [`ControlEvent::Report`].
    Report(Box<WorkerReport>),
    /// End.
    Stop,
}

/// Anyone → control.
pub enum ControlEvent {
    /// A router's.
    Router(WorkerId, Event),
    /// Filled in.
    Report(Box<WorkerReport>),
    /// A client for the control channel.
    Accepted(ControlStream),
}

/// A worker's ends.
pub struct WorkerPort {
    /// From control.
    pub orders: ArrayQueue<WorkerOrder>,
    /// From other workers.
    pub peers: ArrayQueue<PeerMessage>,
    /// From doors.
    pub inbox: ArrayQueue<StreamArrival>,
    /// Wakes the worker.
    pub waker: Waker,
    /// When the worker last finished a turn: milliseconds since [`Exchange::started`]. Health and
    /// watchdog read it.
    pub heartbeat_ms: AtomicU64,
}

/// The door's ends.
pub struct DoorPort {
    /// From workers.
    pub outgoing: ArrayQueue<StreamTransmit>,
    /// From control.
    pub orders: ArrayQueue<DoorOrder>,
    /// Empty buffers.
    pub free: ArrayQueue<PacketBuffer>,
    /// Wakes the door.
    pub waker: Waker,
    /// Drops counted at the door (its thread writes, reports read), by `DropReason`.
    pub drops: Vec<AtomicU64>,
    /// Connections open now, by `[tcp, tls]`.
    pub connections: [AtomicU64; 2],
    /// Connections refused or ended by a limit or a deadline.
    pub refused: AtomicU64,
    /// Connections whose peer went before it had proved anything.
    pub abandoned: AtomicU64,
}

/// All queues of a daemon.
pub struct Exchange {
    /// One per worker, by `WorkerId`.
    pub workers: Vec<WorkerPort>,
    /// The stream thread's.
    pub door: DoorPort,
    /// To control.
    pub events: ArrayQueue<ControlEvent>,
    /// Wakes control.
    pub control: Waker,
    /// When the daemon started.
    pub started: Instant,
}

impl Exchange {
    /// Takes all memory of the queues.
    ///
    /// # Panics
    /// More than `WORKERS_MAX` workers.
    pub fn new(workers: usize, started: Instant) -> io::Result<Self> {
        assert!(workers <= router::limits::WORKERS_MAX, "workers above WORKERS_MAX");
        let door = DoorPort {
            outgoing: ArrayQueue::new(STREAM_OUTGOING_MAX),
            orders: ArrayQueue::new(ORDERS_MAX),
            free: ArrayQueue::new(STREAM_BUFFERS_MAX),
            waker: Waker::new()?,
            drops: router::DropReason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            connections: [AtomicU64::new(0), AtomicU64::new(0)],
            refused: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        };
        for _ in 0..STREAM_BUFFERS_MAX {
            door.give_back(PacketBuffer::new());
        }
        let workers = (0..workers).map(|_| WorkerPort::new()).collect::<io::Result<_>>()?;
        Ok(Self {
            workers,
            door,
            events: ArrayQueue::new(EVENTS_MAX),
            control: Waker::new()?,
            started,
        })
    }
}

impl WorkerPort {
    /// Whether any queue has something for the worker.
    pub fn has_waiting(&self) -> bool {
        !(self.orders.is_empty() && self.peers.is_empty() && self.inbox.is_empty())
    }

    /// The worker is alive, so long after [`Exchange::started`].
    pub fn beat(&self, since_start: Duration) {
        let ms = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        self.heartbeat_ms.store(ms, Ordering::Relaxed);
    }

    fn new() -> io::Result<Self> {
        Ok(Self {
            orders: ArrayQueue::new(ORDERS_MAX),
            peers: ArrayQueue::new(PEER_MESSAGES_MAX),
            inbox: ArrayQueue::new(STREAM_INBOX_MAX),
            waker: Waker::new()?,
            heartbeat_ms: AtomicU64::new(0),
        })
    }
}

impl DoorPort {
    /// Returns an emptied buffer. There is room for every buffer there is.
    pub fn give_back(&self, buffer: PacketBuffer) {
        let returned = self.free.push(buffer);
        assert!(returned.is_ok(), "more buffers returned than there are");
    }
}
