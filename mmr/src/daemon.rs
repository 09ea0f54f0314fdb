//! A running router: its threads put together, and taken apart.

use crate::stats::Stats;
use crate::{Config, Error};
use std::time::Duration;
use wire::control::Addresses;

/// A running router. Dropped without [`Daemon::stop`], it goes on until the process ends.
pub struct Daemon {
    addresses: Addresses,
}

impl Daemon {
    /// Opens every socket, starts every thread, and answers when clients can connect. May be called from any thread, within
    /// a runtime or without; blocks for some milliseconds.
    ///
    /// # Errors
    /// What the configuration names can't be had; nothing is left running then.
    pub fn start(_config: Config) -> Result<Self, Error> {
        todo!()
    }

    /// Where it listens, as really bound: in the order of the configured addresses, ports filled in.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The daemon at this moment; workers' counts are at most a second old.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        todo!()
    }

    /// Turns newcomers away, tells everybody to move on until the deadline, and answers at once. Media goes on.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn drain(&self, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }

    /// Takes newcomers again.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn undrain(&self) -> Result<(), Error> {
        todo!()
    }

    /// Closes every channel and connection and ends every thread.
    pub async fn stop(self) {
        todo!()
    }
}
