//! One connection: its state, shared by the task that reads it, the task that writes it, and the
//! dispatcher.

use super::admission::Place;
use super::limits::{DoorLimits, GOODBYE, WRITE_LEN};
use super::marking;
use super::queue::{Queue, Total};
use super::sealed;
use super::socket::{Socket, hang_up};
use router::{ConnectionId, DropReason, Path};
use rustls::ServerConnection;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::time::Instant;
use tokio::sync::Notify;
use wire::Kind;
use wire::mark::Marks;

/// One connection.
pub(super) struct Connection<S> {
    pub(super) socket: S,
    path: Path,
    limits: DoorLimits,
    stage: Cell<Stage>,
    /// Rung when `stage` changes, and with it the deadline.
    turn: Notify,
    /// When the peer was last heard.
    heard_at: Cell<Instant>,
    place: RefCell<Place>,
    /// Set when the TLS handshake of a media connection is complete.
    tls: RefCell<Option<Box<ServerConnection>>>,
    queue: RefCell<Queue>,
    /// Rung when there is something to write.
    pen: Notify,
    writing: Cell<bool>,
}

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// TLS handshake, until.
    Handshake { until: Instant },
    /// Nothing proved yet: the first answered check must be before.
    Probation { until: Instant },
    /// The router answered: authentic, and of this kind.
    Confirmed { kind: Kind },
    /// Says goodbye, until.
    Closing { until: Instant },
}

impl<S: Socket> Connection<S> {
    pub(super) fn new(
        socket: S,
        path: Path,
        place: Place,
        limits: DoorLimits,
        total: Total,
    ) -> Self {
        let now = Instant::now();
        Self {
            socket,
            path,
            limits,
            stage: Cell::new(Stage::Handshake { until: now + limits.handshake }),
            turn: Notify::new(),
            heard_at: Cell::new(now),
            place: RefCell::new(place),
            tls: RefCell::new(None),
            queue: RefCell::new(Queue::new(limits, total)),
            pen: Notify::new(),
            writing: Cell::new(false),
        }
    }

    pub(super) fn id(&self) -> ConnectionId {
        let Path::Stream { connection, .. } = self.path else {
            unreachable!("made with a stream path")
        };
        connection
    }

    pub(super) fn path(&self) -> Path {
        self.path
    }

    /// The handshake is over (TCP: there is none): frames follow.
    pub(super) fn begin_media(&self, tls: Option<Box<ServerConnection>>, now: Instant) {
        *self.tls.borrow_mut() = tls;
        if let Stage::Handshake { .. } = self.stage.get() {
            self.enter(Stage::Probation { until: now + self.limits.first_message });
        }
    }

    /// When the connection is ended unless something happens.
    pub(super) fn deadline(&self) -> Instant {
        match self.stage.get() {
            Stage::Handshake { until } | Stage::Probation { until } | Stage::Closing { until } => {
                until
            }
            Stage::Confirmed { .. } => self.heard_at.get() + self.limits.silence,
        }
    }

    pub(super) fn note_heard(&self, now: Instant) {
        self.heard_at.set(now);
    }

    pub(super) fn is_confirmed(&self) -> bool {
        matches!(self.stage.get(), Stage::Confirmed { .. })
    }

    pub(super) fn is_unproved(&self) -> bool {
        matches!(self.stage.get(), Stage::Handshake { .. } | Stage::Probation { .. })
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage.get(), Stage::Closing { .. })
    }

    /// The router answers this connection: it is authentic and of this kind. False when it is
    /// closing.
    pub(super) fn confirm(&self, kind: Kind, marks: Marks) -> bool {
        let stage = Stage::Confirmed { kind };
        match self.stage.get() {
            Stage::Closing { .. } => return false,
            same if same == stage => return true,
            _ => {}
        }
        self.enter(stage);
        self.place.borrow_mut().confirm();
        self.mark(marks);
        true
    }

    /// Marks what is sent from now on: with the kind's mark, with control's while the kind is not
    /// known.
    pub(super) fn mark(&self, marks: Marks) {
        let dscp = match self.stage.get() {
            Stage::Confirmed { kind } => marks.of(kind),
            Stage::Handshake { .. } | Stage::Probation { .. } => marks.control,
            Stage::Closing { .. } => return,
        };
        // A socket of this IP version takes any code point; a refusal would be a kernel without
        // DSCP, which still carries media.
        let _ = marking::mark(&self.socket.fd(), self.path.remote().ip(), dscp);
    }

    /// Queues a packet for the writer.
    pub(super) fn queue_packet(
        &self,
        packet: &[u8],
        kind: Kind,
        heard_at: Instant,
        now: Instant,
        drops: &mut impl FnMut(DropReason),
    ) {
        self.queue.borrow_mut().push(packet, kind, heard_at, now, drops);
        if !self.writing.get() {
            self.pen.notify_one();
        }
    }

    /// Drops what waits; answers how many packets.
    pub(super) fn forget_queue(&self) -> u64 {
        self.queue.borrow_mut().clear()
    }

    /// Ends the connection with a goodbye, or cuts it when the writer is stuck in a write.
    pub(super) fn close(&self, now: Instant) {
        if self.is_closing() {
            return;
        }
        self.enter(Stage::Closing { until: now + GOODBYE });
        if self.writing.get() || self.tls.borrow().is_none() {
            self.hang_up();
            return;
        }
        if let Some(tls) = self.tls.borrow_mut().as_mut() {
            tls.send_close_notify();
        }
        self.pen.notify_one();
    }

    /// Ends the connection at once, without a goodbye.
    pub(super) fn cut(&self) {
        self.let_go();
        self.hang_up();
    }

    /// The connection is somebody else's now, or over: nothing is sent any more.
    pub(super) fn let_go(&self) {
        self.enter(Stage::Closing { until: Instant::now() });
    }

    /// Reads and writes under way come back.
    pub(super) fn hang_up(&self) {
        hang_up(&self.socket);
        self.pen.notify_one();
    }

    /// Deciphers what came (TLS), or passes it through (TCP), to `each` in pieces; answers whether
    /// more can follow.
    pub(super) fn decipher(
        &self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<bool, rustls::Error> {
        let mut tls = self.tls.borrow_mut();
        let Some(tls) = tls.as_mut() else {
            each(bytes);
            return Ok(true);
        };
        let goes_on = sealed::receive(tls, bytes, each)?;
        if tls.wants_write() {
            self.pen.notify_one();
        }
        Ok(goes_on)
    }

    /// The next bytes to write, appended to `out`: frames, sealed if this is TLS. Answers how many
    /// packets they hold; nothing is appended when nothing waits.
    pub(super) fn fill(
        &self,
        out: &mut Vec<u8>,
        now: Instant,
        drops: &mut impl FnMut(DropReason),
    ) -> u64 {
        let mut queue = self.queue.borrow_mut();
        let mut tls = self.tls.borrow_mut();
        let Some(tls) = tls.as_mut() else {
            return queue.take(WRITE_LEN, now, drops, |packet| wire::framing::frame(packet, out));
        };
        let mut plain = Vec::with_capacity(WRITE_LEN);
        let taken = if self.is_closing() {
            0
        } else {
            queue.take(WRITE_LEN, now, drops, |packet| wire::framing::frame(packet, &mut plain))
        };
        // Writing to rustls' buffers and to memory does not fail; after close_notify plain bytes
        // are not taken.
        let _ = tls.writer().write_all(&plain);
        sealed::drain(tls, out);
        taken
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.turn.notify_one();
    }

    /// Waits until the deadline was moved by a new stage.
    pub(super) async fn deadline_moved(&self) {
        self.turn.notified().await;
    }

    /// Waits until there is something to write, or the connection ended.
    pub(super) async fn wait_for_work(&self) {
        self.pen.notified().await;
    }

    /// Whether the writer has bytes at the kernel.
    pub(super) fn set_writing(&self, writing: bool) {
        self.writing.set(writing);
    }
}
