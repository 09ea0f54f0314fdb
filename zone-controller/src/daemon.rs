//! A controller that runs: its store, its sockets, its exchange with the others.

use crate::config::{Config, Store as StoreChoice};
use crate::controller::Controller;
use crate::credentials::{Credentials, etcd_client};
use crate::server::{REQUEST_PATIENCE, Site};
use crate::store::etcd::EtcdStore;
use crate::store::redb::RedbStore;
use crate::store::{Store, StoreError};
use ::daemon::credential::CredentialError;
use ::daemon::keys::{Fetches, Keys, Sources};
use ::daemon::server::{Limits, ListenError, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The configuration's key that names where keys come from.
pub(crate) const KEYS: &str = "tokens.keys";

/// A running controller. Ends when dropped; [`Daemon::stop`] lets requests under way finish.
pub struct Daemon {
    controller: Arc<Controller>,
    keys: Arc<Keys>,
    addresses: Vec<SocketAddr>,
    end: watch::Sender<()>,
    serving: JoinHandle<()>,
    exchanging: JoinHandle<()>,
    refreshing: JoinHandle<()>,
}

/// Why a controller could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file the configuration names.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The store.
    #[error("{0}. Check the section [store] of the configuration")]
    Store(#[from] StoreError),
    /// An address or port.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl Daemon {
    /// Starts on the runtime of the caller. An etcd cluster that can't be reached is no error: it
    /// may come back. Keys that must be fetched come a little later: see [`Daemon::ready`].
    ///
    /// # Errors
    /// When a file, the store, or an address can't be used.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let fetches = Fetches::default();
        let keys = Arc::new(Keys::new(fetches.clone()));
        let reading = keys.read(KEYS, &config.tokens.keys, &config.fetching)?;
        let credentials = Credentials::load(config, reading.sources())?;
        let store = open_store(config)?;
        let mut controller = Controller::new(config, credentials, store, rand::random());
        controller.counts.fetches = fetches;
        let controller = Arc::new(controller);
        let site = Site::new(Arc::clone(&controller), &config.limits);
        let limits = Limits {
            connections: config.limits.connections,
            connections_per_address: config.limits.connections_per_address,
            end_patience: REQUEST_PATIENCE,
        };
        let counts = controller.counts.connections.clone();
        let server = Server::bind(&config.listen, limits, counts, site)?;
        let addresses = server.addresses();
        let (end, ended) = watch::channel(());
        let exchanging = {
            let controller = Arc::clone(&controller);
            tokio::spawn(async move { controller.exchange().await })
        };
        let serving = tokio::spawn(server.serve(ended));
        keys.exchange(reading, || {});
        let refreshing = tokio::spawn(refresh(Arc::clone(&keys), Arc::clone(&controller)));
        Ok(Self { controller, keys, addresses, end, serving, exchanging, refreshing })
    }

    /// When the keys are there that must be fetched, or were asked for at least: some seconds at most.
    pub async fn ready(&self) {
        self.keys.ready().await;
    }

    /// New certificates, keys and tokens.
    ///
    /// # Errors
    /// When a file can't be used; nothing is changed then.
    pub fn reload(&self, config: &Config) -> Result<(), CredentialError> {
        let reading = self.keys.read(KEYS, &config.tokens.keys, &config.fetching)?;
        let credentials = Credentials::load(config, reading.sources())?;
        self.keys.exchange(reading, || self.controller.replace_credentials(credentials));
        Ok(())
    }

    /// Takes no more connections, and returns when requests under way are answered.
    pub async fn stop(mut self) {
        let _ = self.end.send(());
        // Neither can have panicked without its log having said so.
        let _ = (&mut self.serving).await;
        self.exchanging.abort();
        let _ = (&mut self.exchanging).await;
        self.refreshing.abort();
        let _ = (&mut self.refreshing).await;
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The controller itself.
    pub fn controller(&self) -> &Arc<Controller> {
        &self.controller
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.end.send(());
        self.serving.abort();
        self.exchanging.abort();
        self.refreshing.abort();
    }
}

async fn refresh(keys: Arc<Keys>, controller: Arc<Controller>) {
    let take = |sources: &Sources| {
        controller.replace_keys(sources);
        true
    };
    keys.refresh(take).await;
}

/// The store a configuration asks for.
fn open_store(config: &Config) -> Result<Box<dyn Store>, Error> {
    let kept_s = config.meetings_kept.as_secs();
    Ok(match &config.store {
        StoreChoice::Redb(file) => Box::new(RedbStore::open(file, kept_s)?),
        StoreChoice::Etcd(etcd) => Box::new(EtcdStore::new(
            etcd_client(etcd)?,
            etcd.endpoints.clone(),
            &config.zone,
            kept_s,
        )),
    })
}
