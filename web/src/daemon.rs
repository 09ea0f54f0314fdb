//! An instance that runs.

use crate::config::{Config, Store as StoreChoice};
use crate::credentials::{Credentials, store_url};
use crate::limits::REQUEST_PATIENCE;
use crate::lookup::Web;
use crate::site::Site;
use crate::store::{Store, StoreError};
use crate::zones::Zones;
use ::daemon::credential::CredentialError;
use ::daemon::server::{Limits, ListenError, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use wire::lookup::{Created, NewMeeting, Refusal};

/// A running instance. Ends when dropped; [`Daemon::stop`] lets requests under way finish.
pub struct Daemon {
    web: Arc<Web>,
    addresses: Vec<SocketAddr>,
    end: watch::Sender<()>,
    serving: JoinHandle<()>,
    checking: JoinHandle<()>,
}

/// Why an instance could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file the configuration names.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The store.
    #[error("{cause}. {remedy}")]
    Store {
        /// What it said.
        cause: StoreError,
        /// What to do.
        remedy: &'static str,
    },
    /// An address or port.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl Daemon {
    /// Starts on the runtime of the caller, when every controller was asked once whether it is there.
    ///
    /// # Errors
    /// When a file, the store, or an address can't be used.
    pub async fn start(config: &Config) -> Result<Self, Error> {
        let zones = Zones::new(config)?;
        let credentials = Credentials::load(config, &zones)?;
        let store = open(config).await?;
        let web = Arc::new(Web::new(config, credentials, store, zones));
        let site = Site::new(Arc::clone(&web), config.limits.requests_per_address);
        let limits = Limits {
            connections: config.limits.connections,
            connections_per_address: config.limits.connections_per_address,
            end_patience: REQUEST_PATIENCE,
        };
        let counts = web.counts.connections.clone();
        let server = Server::bind(&config.listen, limits, counts, site)?;
        let addresses = server.addresses();
        web.zones.check().await;
        let checking = tokio::spawn(check(Arc::clone(&web), config.health.interval));
        let (end, ended) = watch::channel(());
        let serving = tokio::spawn(server.serve(ended));
        Ok(Self { web, addresses, end, serving, checking })
    }

    /// Keeps a new meeting, as an operator would have it.
    ///
    /// # Errors
    /// What is asked can't be had, or not now.
    pub async fn create(&self, asked: &NewMeeting) -> Result<Created, Refusal> {
        self.web.create(asked).await
    }

    /// How many zones have a controller that answered its last health check.
    pub fn zones_answering(&self) -> usize {
        self.web.zones.answering().count()
    }

    /// New certificates, keys, tokens and places.
    ///
    /// # Errors
    /// When a file can't be used; nothing is changed then.
    pub fn reload(&self, config: &Config) -> Result<(), CredentialError> {
        self.web.replace_credentials(Credentials::load(config, &self.web.zones)?);
        Ok(())
    }

    /// Takes no more connections, and returns when requests under way are answered.
    pub async fn stop(mut self) {
        let _ = self.end.send(());
        // Neither can have panicked without its log having said so.
        let _ = (&mut self.serving).await;
        self.checking.abort();
        let _ = (&mut self.checking).await;
        self.web.close().await;
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
        self.checking.abort();
    }
}

async fn open(config: &Config) -> Result<Store, Error> {
    let url = store_url(&config.store)?;
    let remedy = match config.store {
        StoreChoice::Sqlite(_) => "Name in store.file a file in a folder this user may write to.",
        StoreChoice::Postgres(_) => {
            "Look at the URL in store.url_file, and whether PostgreSQL lets this host and user in."
        }
    };
    Store::open(&config.store, &url).await.map_err(|cause| Error::Store { cause, remedy })
}

async fn check(web: Arc<Web>, every: Duration) {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    due.tick().await;
    loop {
        due.tick().await;
        web.zones.check().await;
    }
}
