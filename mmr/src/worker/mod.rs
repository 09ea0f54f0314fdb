//! A worker: one thread, one core, one network, one copy of the routes.
//!
//! [`start`] runs [`Worker::turn`] on a thread of its own until it is told to stop. Nothing but the
//! queues of [`crate::exchange`] leads in or out.

mod exchanges;
mod statistics;
mod turn;

pub use turn::{Flow, Worker};

use crate::exchange::Exchange;
use crate::network::poll::PollNetwork;
use crate::network::uring::UringNetwork;
use crate::network::{Backend, Inbox, Network, NetworkConfig};
use crate::packet::{SLOT_LEN, SLOTS};
use core_affinity::CoreId;
use router::{RouterConfig, WorkerId};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use wire::mark::Marks;

/// Cores a thread can be pinned to: CPU_SETSIZE.
const CORES_MAX: usize = 1_024;

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
    thread: JoinHandle<io::Result<()>>,
}

/// Starts a worker's thread and waits until its network is up.
///
/// # Errors
/// The thread could not be started or its network not be set up.
pub fn start(config: WorkerConfig) -> io::Result<WorkerHandle> {
    let worker = config.router.worker;
    let (ready, started) = sync_channel(1);
    let name = format!("mmr-worker-{}", worker.0);
    let thread = thread::Builder::new().name(name).spawn(move || run(config, &ready))?;
    match started.recv() {
        Ok(pinned) => Ok(WorkerHandle { worker, pinned, thread }),
        // It ended without a word: its result says why.
        Err(_) => {
            let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Err(ended.err().unwrap_or_else(|| io::Error::other("the worker ended as it started")))
        }
    }
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
    /// Whether it has ended: after [`crate::exchange::WorkerOrder::Stop`], or because its network
    /// failed.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
    /// Waits until it has ended.
    ///
    /// # Errors
    /// Its network failed.
    ///
    /// # Panics
    /// When the worker did.
    pub fn join(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The thread. Pins itself first, so that memory is taken near its core.
fn run(config: WorkerConfig, ready: &SyncSender<bool>) -> io::Result<()> {
    let pin = |id| id < CORES_MAX && core_affinity::set_for_current(CoreId { id });
    let pinned = config.core.is_some_and(pin);
    let WorkerConfig { sockets, backend, router, marks, exchange, .. } = config;
    let port = &exchange.workers[usize::from(router.worker.0)];
    let waker = port.waker.fd().try_clone_to_owned()?;
    let network = NetworkConfig { sockets, waker, links: router.links, marks };
    let inbox = Inbox::new(SLOTS, SLOT_LEN);
    match backend {
        Backend::Uring => {
            let network = UringNetwork::new(network, inbox.datagram_slots())?;
            turn_until_stopped(Worker::new(network, inbox, router, exchange), || {
                let _ = ready.send(pinned);
            })
        }
        Backend::Poll => {
            let network = PollNetwork::new(network)?;
            turn_until_stopped(Worker::new(network, inbox, router, exchange), || {
                let _ = ready.send(pinned);
            })
        }
    }
}

fn turn_until_stopped(
    mut worker: Worker<impl Network>,
    tell_ready: impl FnOnce(),
) -> io::Result<()> {
    tell_ready();
    while worker.turn()? == Flow::Continue {}
    Ok(())
}
