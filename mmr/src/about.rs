//! What of a running daemon never changes: told in stats and metrics.

use crate::network::Backend;
use daemon::keys::Fetches;
use std::time::Instant;
use wire::control::Addresses;

/// What of a running daemon never changes.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) zone: String,
    /// As really bound.
    pub(crate) addresses: Addresses,
    /// What clients are told.
    pub(crate) advertised: Addresses,
    /// When it started.
    pub(crate) started: Instant,
    /// The same in Unix milliseconds.
    pub(crate) epoch_ms: u64,
    /// Each worker's core, where it is pinned to one.
    pub(crate) cores: Vec<Option<u32>>,
    /// Control channels there is room for.
    pub(crate) channels_max: u32,
    /// Media connections there is room for.
    pub(crate) connections_max: u32,
    /// Of the workers.
    pub(crate) backend: Backend,
    /// Of the stream thread.
    pub(crate) door_backend: &'static str,
    /// What became of public keys that must be fetched.
    pub(crate) fetches: Fetches,
    /// Where the express plane is attached, or why it is off.
    pub(crate) express: Result<Vec<String>, String>,
}

/// The daemon's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
