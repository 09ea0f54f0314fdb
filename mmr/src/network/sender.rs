//! From an outbox to batches for the kernel, and from its refusals to drop reasons: the same for
//! every backend with real sockets.

use super::batch::{BATCH_MAX, Batch, BatchMemory, Note};
use super::defaults::{Defaults, Manner, RUN_MIN};
use super::destinations::{Destination, Destinations};
use super::inbox::Inbox;
use router::{DropCounters, DropReason, Outbox, Payload, Transmit};
use std::net::{SocketAddr, UdpSocket};
use wire::Kind;
use wire::mark::Marks;

/// Packets of one train (UDP_MAX_SEGMENTS before Linux 6.9).
const TRAIN_PACKETS_MAX: u32 = 64;
/// Bytes of one train: below 65,507, what a UDP datagram over IPv4 can hold.
const TRAIN_BYTES_MAX: u32 = 65_000;

/// A message the kernel refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Which of the batch.
    pub(super) index: usize,
    /// Why.
    pub(super) errno: i32,
}

/// What backends do differently.
pub(super) trait Flush {
    /// Hands every message to the kernel without waiting, and notes each that it refused. When this
    /// returns the kernel reads nothing of the batch any more. `failures` has room for all.
    fn flush(&mut self, batch: &mut Batch<'_>, failures: &mut Vec<Failure>);

    /// What it sends through, by number.
    fn sockets(&self) -> &[UdpSocket];
}

/// What sending needs beside the kernel.
pub(super) struct Sender {
    pub(super) destinations: Destinations,
    defaults: Defaults,
    /// Paths that refused trains.
    pub(super) gso_refused: u64,
    memory: BatchMemory,
    failures: Vec<Failure>,
    refused: Vec<Transmit>,
}

impl Sender {
    /// `sockets`: what they are bound to.
    pub(super) fn new(links: u32, sockets: &[SocketAddr], marks: Marks) -> Self {
        Self {
            destinations: Destinations::new(links, sockets, marks),
            defaults: Defaults::new(sockets),
            gso_refused: 0,
            memory: BatchMemory::new(),
            failures: Vec::with_capacity(BATCH_MAX),
            refused: Vec::with_capacity(BATCH_MAX),
        }
    }

    /// Sends all datagrams of an outbox, in its order.
    pub(super) fn transmit(
        &mut self,
        outbox: &Outbox,
        inbox: &Inbox,
        drops: &mut DropCounters,
        backend: &mut impl Flush,
    ) {
        let Self { destinations, defaults, gso_refused, memory, failures, refused } = self;
        let batch = Batch::begin(memory);
        let arena = outbox.arena();
        let mut sending = Sending {
            destinations,
            defaults,
            gso_refused,
            batch,
            failures,
            refused,
            arena,
            inbox,
            drops,
            backend,
        };
        for lane in outbox.lanes() {
            for run in lane.chunk_by(alike) {
                run.iter().for_each(|transmit| sending.queue(transmit, run.len()));
            }
        }
        sending.flush();
    }
}

/// One outbox on its way.
struct Sending<'p, 's, F> {
    destinations: &'s mut Destinations,
    defaults: &'s mut Defaults,
    gso_refused: &'s mut u64,
    batch: Batch<'p>,
    failures: &'s mut Vec<Failure>,
    refused: &'s mut Vec<Transmit>,
    arena: &'p [u8],
    inbox: &'p Inbox,
    drops: &'s mut DropCounters,
    backend: &'s mut F,
}

impl<F: Flush> Sending<'_, '_, F> {
    /// Adds a transmit that is one of `run` alike.
    fn queue(&mut self, transmit: &Transmit, run: usize) {
        if run >= RUN_MIN {
            self.prefer(transmit);
        }
        let mut done = self.pack(transmit, 0);
        while done < transmit.payload.len {
            self.flush();
            done = self.pack(transmit, done);
        }
    }

    /// Makes a transmit's manner its socket's default.
    fn prefer(&mut self, transmit: &Transmit) {
        let Some(&Destination { socket, .. }) = self.destinations.of(transmit.link) else { return };
        let manner = self.manner(transmit.kind, &transmit.payload);
        if self.defaults.may_become(socket, manner) {
            // What waits was made for the socket as it is.
            self.flush();
            self.defaults.set(socket, &self.backend.sockets()[usize::from(socket)], manner);
        }
    }

    fn manner(&self, kind: Kind, payload: &Payload) -> Manner {
        let class = self.destinations.marks().of(kind).traffic_class();
        Manner { class, segment: if payload.is_train() { payload.segment } else { 0 } }
    }

    /// Adds what fits of a transmit to the batch, from byte `done` on; answers how far it came.
    fn pack(&mut self, transmit: &Transmit, mut done: u32) -> u32 {
        let payload = transmit.payload;
        let Some(destination) = self.destinations.of(transmit.link) else {
            self.drops.add(DropReason::Unbound, u64::from(payload.packets()));
            return payload.len;
        };
        let bytes = self.inbox.payload(&payload, self.arena);
        let bytes = bytes.expect("the router names only slots of this turn and its own arena");
        let step =
            if destination.gso { train_len_max(payload.segment) } else { payload.segment.into() };
        let default = self.defaults.of(destination.socket);
        while done < payload.len && !self.batch.is_full() {
            let end = payload.len.min(done + step);
            let part = Payload { offset: payload.offset + done, len: end - done, ..payload };
            let note = Note {
                transmit: Transmit { payload: part, ..*transmit },
                socket: destination.socket,
            };
            let manner = self.manner(transmit.kind, &part);
            let packet = &bytes[done as usize..end as usize];
            self.batch.push(destination, packet, manner, default, note);
            done = end;
        }
        done
    }

    /// Sends the batch, then the packets of trains that were refused in it, one by one.
    fn flush(&mut self) {
        self.send();
        for i in 0..self.refused.len() {
            let transmit = self.refused[i];
            let mut done = self.pack(&transmit, 0);
            while done < transmit.payload.len {
                self.send();
                done = self.pack(&transmit, done);
            }
        }
        self.refused.clear();
        self.send();
    }

    fn send(&mut self) {
        if self.batch.len() == 0 {
            return;
        }
        self.backend.flush(&mut self.batch, self.failures);
        for i in 0..self.failures.len() {
            self.handle_failure(self.failures[i]);
        }
        self.failures.clear();
        self.batch.clear();
    }

    fn handle_failure(&mut self, failure: Failure) {
        let Note { transmit, .. } = self.batch.note(failure.index);
        let packets = u64::from(transmit.payload.packets());
        match failure.errno {
            // A device or a path cannot take trains: EIO without checksum offload; EINVAL, since
            // Linux 6.14 EMSGSIZE, for packets above the MTU.
            libc::EIO | libc::EINVAL | libc::EMSGSIZE if packets > 1 => {
                *self.gso_refused += u64::from(self.destinations.refuse_trains(transmit.link));
                self.refused.push(transmit);
            }
            libc::EAGAIN | libc::ENOBUFS => self.drops.add(DropReason::SendBufferFull, packets),
            _ => self.drops.add(DropReason::SendFailed, packets),
        }
    }
}

/// Whether two transmits leave in the same manner.
fn alike(one: &Transmit, next: &Transmit) -> bool {
    let segment = |payload: &Payload| payload.is_train().then_some(payload.segment);
    one.kind == next.kind && segment(&one.payload) == segment(&next.payload)
}

fn train_len_max(segment: u16) -> u32 {
    let segment = u32::from(segment);
    segment * (TRAIN_BYTES_MAX / segment).clamp(1, TRAIN_PACKETS_MAX)
}
