//! What a program in the foreground runs on, and the signals it hears.

use crate::{Failure, systemd};
use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, interval};

/// A runtime for what asks and waits, on the calling thread.
///
/// # Errors
/// No file descriptor is left.
pub fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

/// The same with a thread for each core.
///
/// # Errors
/// No file descriptor or no thread is left.
pub fn runtime_of_threads() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().enable_all().build().map_err(no_runtime)
}

fn no_runtime(cause: io::Error) -> Failure {
    Failure::failed(format!("no runtime: {cause}. Allow more open files and threads (ulimit)."))
}

/// Hears a signal from now on, instead of what it does by itself.
///
/// # Errors
/// No file descriptor is left.
pub fn hear(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|cause| {
        Failure::failed(format!("signals can't be heard: {cause}. Allow more open files."))
    })
}

/// The signals that every daemon hears, and systemd's watchdog, fed while it waits for them.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    feedings: Option<Interval>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM, SIGINT.
    End,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// Hears them from now on: before anybody can know that we run.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn hear() -> Result<Self, Failure> {
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            hang_up: hear(SignalKind::hangup())?,
            feedings: systemd::watchdog().map(|limit| interval(limit / 2)),
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Asked {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Asked::End,
                _ = self.interrupt.recv() => return Asked::End,
                _ = self.hang_up.recv() => return Asked::Reload,
                () = due(&mut self.feedings) => systemd::feed_watchdog(),
            }
        }
    }
}

async fn due(feedings: &mut Option<Interval>) {
    match feedings {
        Some(feedings) => drop(feedings.tick().await),
        None => std::future::pending().await,
    }
}
