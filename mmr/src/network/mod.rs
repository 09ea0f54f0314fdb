//! How datagrams come in and leave: one trait, with the backends `uring` and `poll`, and a simulated network for tests.

pub(crate) mod borrow;
pub mod sockets;

use std::io;

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

/// Settles the choice; `Auto` and `Uring` try io_uring with real datagrams over loopback. Takes a few milliseconds;
/// call it once, at start.
///
/// # Errors
/// `Uring` was asked for and does not work here.
pub fn choose(_choice: BackendChoice) -> io::Result<Chosen> {
    todo!()
}
