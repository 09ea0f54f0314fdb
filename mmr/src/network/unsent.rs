//! A network that does all that [`super::uring`] does with an outbox, up to the ring's entries, and then sends none:
//! what the way to the kernel costs without the kernel. For benches; nothing ever arrives.

use super::batch::{BATCH_MAX, Batch};
use super::inbox::Inbox;
use super::sender::{Failure, Flush, Sender};
use super::uring::send_entry;
use super::{LinkError, Network, NetworkCounters};
use io_uring::squeue;
use router::{DropCounters, LinkChange, Outbox};
use std::hint::black_box;
use std::io;
use std::net::UdpSocket;
use std::time::Instant;
use wire::mark::Marks;

/// The network.
pub struct UnsentNetwork {
    sender: Sender,
    queue: Queue,
}

struct Queue {
    sockets: Vec<UdpSocket>,
    /// In place of the ring's own.
    entries: Vec<squeue::Entry>,
    made: u64,
}

impl UnsentNetwork {
    /// Takes all memory. The sockets are set as sending wants them, and nothing more.
    ///
    /// # Errors
    /// A socket is not bound.
    pub fn new(sockets: Vec<UdpSocket>, links: u32, marks: Marks) -> io::Result<Self> {
        let bound = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            sender: Sender::new(links, &bound, marks),
            queue: Queue { sockets, entries: Vec::with_capacity(BATCH_MAX), made: 0 },
        })
    }

    /// How many entries were made, since start.
    pub fn entries(&self) -> u64 {
        self.queue.made
    }
}

impl Network for UnsentNetwork {
    fn receive(&mut self, deadline: Instant, inbox: &mut Inbox) -> io::Result<Instant> {
        inbox.recycle();
        Ok(deadline)
    }

    fn transmit(&mut self, outbox: &Outbox, inbox: &Inbox, drops: &mut DropCounters) {
        self.sender.transmit(outbox, inbox, drops, &mut self.queue);
    }

    fn apply(&mut self, change: LinkChange) -> Result<(), LinkError> {
        self.sender.destinations.apply(change)
    }

    fn counters(&self) -> NetworkCounters {
        NetworkCounters::default()
    }
}

impl Flush for Queue {
    fn flush(&mut self, batch: &mut Batch<'_>, _failures: &mut Vec<Failure>) {
        let headers = batch.arm();
        self.entries.clear();
        let entries = (0..).zip(batch.notes()).map(|(index, note)| {
            // SAFETY: there are as many headers as notes, and `arm` just answered them.
            unsafe { send_entry(headers, index, note) }
        });
        self.entries.extend(entries);
        self.made += black_box(&self.entries).len() as u64;
        // They point to what is the caller's again when this returns.
        self.entries.clear();
    }

    fn sockets(&self) -> &[UdpSocket] {
        &self.sockets
    }
}
