//! The doors: TCP 8801 and TLS 443 on one thread, for clients whose network lets no UDP through.
//!
//! ```text
//!   accept ─▶ admission ─▶ TCP ───────────────▶ media ─▶ frames ─▶ worker `connection % workers`
//!                     └──▶ TLS ─▶ ClientHello ─┬▶ media (ALPN mmr-media/1)
//!                                              └▶ control (all else): socket and bytes, over `events`
//! ```
//!
//! One task reads a connection and owns its life, another writes it from a queue bounded by time.
//! The thread runs on io_uring (tokio-uring), or on plain tokio where io_uring is forbidden; the
//! connections' logic is the same.
//!
//! Not here: who may do what. A frame is authentic when its worker's router says so, by answering.
#![forbid(unsafe_code)]

mod admission;
mod connection;
mod frames;
mod greeting;
mod hall;
mod limits;
mod listen;
mod marking;
mod plain;
mod queue;
mod reader;
mod room;
mod sealed;
mod socket;
mod thread;
mod uring;
mod writer;

pub use limits::DoorLimits;
pub use listen::BindError;
pub use marking::mark;

use crate::exchange::{DoorOrder, Exchange};
use crate::network::BackendChoice;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use thread::{Opened, Running};
use wire::Transport;
use wire::mark::Marks;

/// What the doors are opened with.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// Where TCP is listened on; port 0 takes a free one.
    pub tcp: Vec<SocketAddr>,
    /// Where TLS is listened on; port 0 takes a free one.
    pub tls: Vec<SocketAddr>,
    /// Certificate and ALPN of media connections: [`crate::tls::TlsConfigs::media`].
    pub tls_config: Arc<ServerConfig>,
    /// DSCP marks.
    pub marks: Marks,
    /// What the thread runs on: `Uring` is tokio-uring, `Poll` is plain tokio, `Auto` the first if
    /// it works.
    pub backend: BackendChoice,
    /// Deadlines and caps.
    pub limits: DoorLimits,
}

/// Why the doors could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// An address could not be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// io_uring was asked for and does not work here.
    #[error(
        "the stream thread cannot use io_uring: {0}; allow it (sysctl kernel.io_uring_disabled=0, \
         the container's seccomp profile), or set the backend to auto"
    )]
    Uring(std::io::Error),
    /// The thread or its runtime could not be made.
    #[error(
        "the stream thread could not be started: {0}; check the limits on processes and open files"
    )]
    Thread(std::io::Error),
}

/// The running stream thread. Dropped, it closes everything and waits for the thread.
pub struct DoorHandle {
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    backend: &'static str,
    fallback: Option<String>,
    exchange: Arc<Exchange>,
    thread: Option<JoinHandle<()>>,
}

/// Opens the doors: binds every address, starts the thread, and answers when it serves.
///
/// # Errors
/// An address can't be listened on, or the thread can't be started as asked for.
pub fn start(config: DoorConfig, exchange: Arc<Exchange>) -> Result<DoorHandle, DoorError> {
    let opened = open_all(&config)?;
    let bound = |wanted| {
        let of_transport = opened.iter().filter(move |door| door.transport == wanted);
        of_transport.map(|door| door.listener.local_addr()).collect::<io::Result<Vec<_>>>()
    };
    let tcp = bound(Transport::Tcp).map_err(DoorError::Thread)?;
    let tls = bound(Transport::Tls).map_err(DoorError::Thread)?;
    let (ready, started) = sync_channel(1);
    let shared = Arc::clone(&exchange);
    let thread = std::thread::Builder::new()
        .name("mmr-door".to_owned())
        .spawn(move || thread::run(&config, &opened, shared, &ready))
        .map_err(DoorError::Thread)?;
    let gone = || DoorError::Thread(io::Error::other("it ended before it served"));
    let Running { backend, fallback } = started.recv().map_err(|_| gone())??;
    let fallback = fallback.map(|cause| cause.to_string());
    Ok(DoorHandle { tcp, tls, backend, fallback, exchange, thread: Some(thread) })
}

fn open_all(config: &DoorConfig) -> Result<Vec<Opened>, BindError> {
    let tcp = config.tcp.iter().map(|&address| (Transport::Tcp, address));
    let tls = config.tls.iter().map(|&address| (Transport::Tls, address));
    tcp.chain(tls)
        .map(|(transport, address)| {
            Ok(Opened { transport, listener: listen::listen(address, config.marks)? })
        })
        .collect()
}

impl DoorHandle {
    /// Where TCP is served, in the order of the configuration, with the ports really bound.
    pub fn tcp(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// Where TLS is served.
    pub fn tls(&self) -> &[SocketAddr] {
        &self.tls
    }

    /// `uring` or `tokio`.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Why `Auto` did not take io_uring, if it did not.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Whether the thread runs; it ends only by [`DoorHandle::stop`], [`DoorOrder::Stop`] or a
    /// fault of ours.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Closes everything and waits for the thread: at most about half a second.
    pub fn stop(self) {}
}

impl Drop for DoorHandle {
    fn drop(&mut self) {
        // A full queue of orders is emptied by the running thread.
        while self.is_running() && self.exchange.door.orders.push(DoorOrder::Stop).is_err() {
            self.exchange.door.waker.wake();
            std::thread::yield_now();
        }
        self.exchange.door.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}
