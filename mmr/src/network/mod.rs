//! How datagrams come in and leave: one trait, with the backends [`uring`] and [`poll`], and a
//! [`simulated`] network for tests. All pass the same conformance suite
//! (`mmr/tests/conformance.rs`). An [`unsent`] one, for benches, stops short of the kernel.
//!
//! This folder and `packet` are where the daemon's unsafe code is: the kernel reads and writes
//! memory behind the compiler's back here, and nowhere else.

mod address;
mod batch;
pub(crate) mod borrow;
mod cmsg;
mod defaults;
mod destinations;
mod inbox;
pub mod offloads;
pub mod poll;
mod reception;
mod sender;
pub mod simulated;
pub mod sockets;
pub mod unsent;
pub mod uring;

pub use destinations::LinkError;
pub use inbox::{Heard, Inbox, STREAM_SLOTS};

use router::{DropCounters, LinkChange, Outbox};
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::time::Instant;
use wire::mark::Marks;

/// A worker's way to its datagrams. Nothing here allocates after start.
pub trait Network {
    /// Gives the last turn's slots back, then waits until something arrives, the waker rings or
    /// `deadline` passes, and delivers what there is. Does not wait when `deadline` has passed.
    /// Answers the time of arrival: the turn's now.
    ///
    /// # Errors
    /// The backend is broken; the worker ends.
    fn receive(&mut self, deadline: Instant, inbox: &mut Inbox) -> io::Result<Instant>;

    /// Sends the outbox's datagrams, in its order, without waiting; what the kernel refuses is
    /// counted in `drops`. The payloads lie in `inbox` and in the outbox; nothing refers to them
    /// any more when this returns.
    fn transmit(&mut self, outbox: &Outbox, inbox: &Inbox, drops: &mut DropCounters);

    /// Takes note of where a link's packets go, or of new marks, for all that is transmitted from
    /// now on.
    ///
    /// # Errors
    /// The change does not fit this network: a mistake of whoever made it.
    fn apply(&mut self, change: LinkChange) -> Result<(), LinkError>;

    /// Counts since start.
    fn counters(&self) -> NetworkCounters;
}

/// What a network counts beside drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Datagrams the kernel dropped because a socket's buffer was full (SO_RXQ_OVFL).
    pub kernel_drops: u64,
    /// Times the ring had no buffer left and reception had to be armed again.
    pub ring_overflows: u64,
    /// Paths that refused GSO and get single packets since.
    pub gso_refused: u64,
}

/// What a backend with real sockets is made of.
pub struct NetworkConfig {
    /// In the order of `Path::Udp.socket`; non-blocking.
    pub sockets: Vec<UdpSocket>,
    /// An eventfd: [`Network::receive`] returns when it is rung. Who owns it clears it.
    pub waker: OwnedFd,
    /// Room for links.
    pub links: u32,
    /// DSCP until the first [`LinkChange::Mark`].
    pub marks: Marks,
}

/// What the operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BackendChoice {
    /// `uring` where it works, else `poll`.
    #[default]
    Auto,
    /// `uring` or an error.
    Uring,
    /// `poll`.
    Poll,
}

/// What it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring: multishot receive into a buffer ring, batched sends.
    Uring,
    /// epoll with recvmmsg and sendmmsg.
    Poll,
}

impl Backend {
    /// The name in logs, stats and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Poll => "poll",
        }
    }
}

/// The backend for all workers, and why `auto` did not take io_uring, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Give it to every worker.
    pub backend: Backend,
    /// Set when `auto` fell back: what was tried, what the kernel said, what to do about it.
    pub fallback: Option<String>,
}

/// Settles the choice; `Auto` and `Uring` try io_uring with real datagrams over loopback. Takes a
/// few milliseconds; call it once, at start.
///
/// # Errors
/// `Uring` was asked for and does not work here.
pub fn choose(choice: BackendChoice) -> io::Result<Chosen> {
    let uring = Chosen { backend: Backend::Uring, fallback: None };
    match choice {
        BackendChoice::Poll => Ok(Chosen { backend: Backend::Poll, fallback: None }),
        BackendChoice::Uring => match uring::probe() {
            Ok(()) => Ok(uring),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        },
        BackendChoice::Auto => Ok(match uring::probe() {
            Ok(()) => uring,
            Err(error) => Chosen { backend: Backend::Poll, fallback: Some(error.to_string()) },
        }),
    }
}
