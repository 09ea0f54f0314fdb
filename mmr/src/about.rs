//! What of a running daemon never changes: told in stats and metrics.

use crate::network::Backend;
use wire::control::Addresses;

/// What of a running daemon never changes.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) zone: String,
    /// As really bound.
    pub(crate) addresses: Addresses,
    /// Of the workers.
    pub(crate) backend: Backend,
    /// Of the stream thread.
    pub(crate) door_backend: &'static str,
}

/// The daemon's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
