//! A tunnel that runs.

use crate::config::Config;
use crate::site::{Rules, Site};
use ::daemon::credential::CredentialError;
use ::daemon::keys::{Fetches, KeySource, Keys, Sources};
use ::daemon::server::{Limits, ListenError, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The configuration's key that names where keys come from.
pub(crate) const KEYS: &str = "zones.keys";

/// A running tunnel. Ends when dropped; [`Daemon::stop`] lets tunnels go on for a while.
pub struct Daemon {
    site: Site,
    keys: Arc<Keys>,
    addresses: Vec<SocketAddr>,
    end: watch::Sender<()>,
    /// Tunnels end when it is dropped.
    _going: watch::Sender<()>,
    serving: JoinHandle<()>,
    refreshing: JoinHandle<()>,
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
    /// Starts on the runtime of the caller. Keys that must be fetched come a little later: see
    /// [`Daemon::ready`].
    ///
    /// # Errors
    /// When a file or an address can't be used.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let (going, goes) = watch::channel(());
        let fetches = Fetches::default();
        let keys = Arc::new(Keys::new(fetches.clone()));
        let reading = keys.read(KEYS, sources(config), &config.fetching)?;
        let site = Site::new(config, Rules::load(config, reading.sources())?, fetches, goes);
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
        keys.exchange(reading, || {});
        let refreshing = tokio::spawn(refresh(Arc::clone(&keys), site.clone()));
        Ok(Self { site, keys, addresses, end, _going: going, serving, refreshing })
    }

    /// When the keys are there that must be fetched, or were asked for at least: some seconds at most.
    pub async fn ready(&self) {
        self.keys.ready().await;
    }

    /// New certificates, keys, targets and operators' tokens. Tunnels that are open stay open.
    ///
    /// # Errors
    /// When a file can't be used; nothing is changed then.
    pub fn reload(&self, config: &Config) -> Result<(), CredentialError> {
        let reading = self.keys.read(KEYS, sources(config), &config.fetching)?;
        let rules = Rules::load(config, reading.sources())?;
        self.keys.exchange(reading, || self.site.shared().replace_rules(rules));
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
        self.refreshing.abort();
    }
}

/// Where the keys of all zones come from.
pub(crate) fn sources(config: &Config) -> impl Iterator<Item = &KeySource> {
    config.zones.iter().flat_map(|zone| &zone.keys)
}

async fn refresh(keys: Arc<Keys>, site: Site) {
    let take = |sources: &Sources| {
        site.shared().replace_keys(sources);
        true
    };
    keys.refresh(take).await;
}
