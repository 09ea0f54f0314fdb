//! A tunnel that runs.

use crate::config::Config;
use crate::site::{Rules, Site};
use ::daemon::credential::CredentialError;
use ::daemon::server::{Limits, ListenError, Server};
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running tunnel. Ends when dropped; [`Daemon::stop`] lets tunnels go on for a while.
pub struct Daemon {
    site: Site,
    addresses: Vec<SocketAddr>,
    end: watch::Sender<()>,
    /// Tunnels end when it is dropped.
    _going: watch::Sender<()>,
    serving: JoinHandle<()>,
}

/// Why a tunnel could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file the configuration names.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// An address or port.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl Daemon {
    /// Starts on the runtime of the caller.
    ///
    /// # Errors
    /// When a file or an address can't be used.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let (going, goes) = watch::channel(());
        let site = Site::new(config, Rules::load(config)?, goes);
        let limits = Limits {
            connections: config.limits.connections,
            connections_per_address: config.limits.connections_per_address,
            end_patience: config.drain_deadline,
        };
        let counts = site.shared().counts.connections.clone();
        let server = Server::bind(&config.listen, limits, counts, site.clone())?;
        let addresses = server.addresses();
        let (end, ended) = watch::channel(());
        let serving = tokio::spawn(server.serve(ended));
        Ok(Self { site, addresses, end, _going: going, serving })
    }

    /// New certificates, keys, targets and operators' tokens. Tunnels that are open stay open.
    ///
    /// # Errors
    /// When a file can't be used; nothing is changed then.
    pub fn reload(&self, config: &Config) -> Result<(), CredentialError> {
        self.site.shared().replace_rules(Rules::load(config)?);
        Ok(())
    }

    /// Takes no more connections and opens no more tunnels; returns when the last has ended, or the
    /// drain's deadline is over. Those left then end with the daemon.
    pub async fn stop(mut self) {
        self.site.shared().drain();
        let _ = self.end.send(());
        // It can't have panicked without its log having said so.
        let _ = (&mut self.serving).await;
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.end.send(());
        self.serving.abort();
    }
}
