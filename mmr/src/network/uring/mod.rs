//! The io_uring backend: multishot receive into a buffer ring, batched sends, one wait for
//! everything.
//!
//! ```text
//!   receive   slots of the last turn ─▶ buffer ring ─▶ io_uring_enter: arms, waits, runs put-off work
//!             completions ─▶ inbox
//!   transmit  outbox ─▶ batch ─▶ entries ─▶ io_uring_enter, once for every 1,024 messages
//!             refusals ─▶ drop reasons
//! ```
//!
//! Sends carry MSG_DONTWAIT, so the kernel carries each out, or refuses it, while it takes it from
//! the queue; those that succeed post no completion. Nothing of a send is left with the kernel when
//! a submission returns.

mod buffers;
mod engine;
mod lending;
mod probe;
mod ring;
#[cfg(test)]
mod tests;

pub(super) use engine::send_entry;
pub use probe::{ProbeError, probe};

use super::inbox::Inbox;
use super::reception::Reception;
use super::sender::Sender;
use super::{LinkError, Network, NetworkConfig, NetworkCounters};
use engine::Engine;
use router::{DropCounters, LinkChange, Outbox};
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

/// Datagrams through io_uring. Stays on the thread that made it.
pub struct UringNetwork {
    engine: Engine,
    reception: Reception,
    sender: Sender,
}

impl UringNetwork {
    /// Sets everything up for the calling thread, which alone may use it; takes all memory. `slots`
    /// is how many datagram slots the inbox has.
    ///
    /// # Errors
    /// io_uring is forbidden or too old here, or a socket has no address.
    pub fn new(config: NetworkConfig, slots: u16) -> io::Result<Self> {
        let bound =
            config.sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            reception: Reception::new(bound.len()),
            sender: Sender::new(config.links, &bound, config.marks),
            engine: Engine::new(config, slots)?,
        })
    }
}

impl Network for UringNetwork {
    fn receive(&mut self, deadline: Instant, inbox: &mut Inbox) -> io::Result<Instant> {
        self.engine.provide(inbox);
        self.engine.wait(deadline)?;
        let now = Instant::now();
        self.reception.begin(now);
        self.engine.deliver(&mut self.reception, inbox);
        Ok(now)
    }

    fn transmit(&mut self, outbox: &Outbox, inbox: &Inbox, drops: &mut DropCounters) {
        self.sender.transmit(outbox, inbox, drops, &mut self.engine);
    }

    fn apply(&mut self, change: LinkChange) -> Result<(), LinkError> {
        self.sender.destinations.apply(change)
    }

    fn counters(&self) -> NetworkCounters {
        NetworkCounters {
            kernel_drops: self.reception.kernel_drops,
            ring_overflows: self.engine.overflows,
            gso_refused: self.sender.gso_refused,
        }
    }
}
