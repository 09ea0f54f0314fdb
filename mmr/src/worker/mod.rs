//! A worker: one thread, one core, one network, one copy of the routes.

use crate::exchange::Exchange;
use crate::network::Backend;
use router::{RouterConfig, WorkerId};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use wire::mark::Marks;

/// What a worker is started with.
pub struct WorkerConfig {
    /// Its core, as the kernel numbers them; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// Its sockets, from [`crate::network::sockets::open`].
    pub sockets: Vec<UdpSocket>,
    /// From [`crate::network::choose`].
    pub backend: Backend,
    /// Its router; `router.worker` says which worker this is.
    pub router: RouterConfig,
    /// DSCP until the first [`router::Order::Mark`].
    pub marks: Marks,
    /// The queues.
    pub exchange: Arc<Exchange>,
}

/// A running worker.
pub struct WorkerHandle {
    worker: WorkerId,
    pinned: bool,
    thread: std::thread::JoinHandle<io::Result<()>>,
}

/// Starts a worker's thread and waits until its network is up.
///
/// # Errors
/// The thread could not be started or its network not be set up.
pub fn start(_config: WorkerConfig) -> io::Result<WorkerHandle> {
    todo!()
}

impl WorkerHandle {
    /// Which.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }
    /// Whether it runs on the core it was given.
    pub fn pinned(&self) -> bool {
        self.pinned
    }
    /// Whether it has ended: after [`crate::exchange::WorkerOrder::Stop`], or because its network failed.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
    /// Waits until it has ended.
    ///
    /// # Errors
    /// Its network failed.
    pub fn join(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
