//! What a program in the foreground runs on, and the signals it hears.

use crate::Failure;
use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

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
