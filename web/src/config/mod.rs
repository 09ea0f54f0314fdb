//! What an operator decides: `mmr-web.toml` as typed values. That file documents every key.
//!
//! Files that it names (certificate, keys, tokens, places) are read by the daemon.

mod file;

use crate::guesses::PerMinute;
use ::daemon::config::ConfigError;
pub use ::daemon::config::{Listen, TlsFiles};
use ::daemon::log::Log;
use ::daemon::pace::Pace;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the configuration is looked for when nothing else is said.
pub const FILE: &str = "/etc/mmr-web/mmr-web.toml";
/// The commented one of the source tree.
const EXAMPLE: &str = "mmr-web.toml";

/// An instance's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What meetings' links begin with: `https://meet.example.org`.
    pub url: String,
    /// Where it listens.
    pub listen: Listen,
    /// What it shows everybody.
    pub tls: TlsFiles,
    /// Where meetings are kept.
    pub store: Store,
    /// The keys of join tokens, Ed25519 in PKCS#8 PEM: the first signs, all are published.
    pub signing_keys: Vec<PathBuf>,
    /// How long a join token is good.
    pub token_lifetime: Duration,
    /// How long a meeting stays in its zone after somebody last settled for it.
    pub zone_kept: Duration,
    /// File with the bearer tokens of operators, one a line.
    pub operators: Option<PathBuf>,
    /// Where meetings can be joined.
    pub zones: Vec<Zone>,
    /// How controllers are asked whether they are there.
    pub health: Health,
    /// The file that knows where addresses are.
    pub geo_database: Option<PathBuf>,
    /// URLs of HTTP tunnels.
    pub tunnels: Vec<String>,
    /// How much of everything.
    pub limits: Limits,
    /// The log.
    pub log: Log,
}

/// Where meetings are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file of this host: one instance.
    Sqlite(PathBuf),
    /// A file with the URL of a PostgreSQL database: any number of instances.
    Postgres(PathBuf),
}

/// A zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// The audience of its tokens.
    pub name: String,
    /// URLs of its controllers, without a path.
    pub controllers: Vec<String>,
    /// Where it is.
    pub place: Option<Place>,
}

/// A place on Earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    latitude: f64,
    longitude: f64,
}

/// How controllers are asked whether they are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Who signs their certificates.
    pub authority: PathBuf,
    /// How often.
    pub interval: Duration,
    /// For how long no controller of a zone may answer until its meetings go elsewhere.
    pub lost_after: Duration,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once from one address (IPv6: one /64).
    pub connections_per_address: u32,
    /// Requests from one address.
    pub requests_per_address: Pace,
    /// Wrong passcodes for one meeting.
    pub guesses_per_meeting: PerMinute,
    /// Wrong passcodes from one address.
    pub guesses_per_address: PerMinute,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place, its reason and its remedy.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::parse(file, &::daemon::config::read(file, EXAMPLE)?)
    }

    /// Checks the text of a configuration file; `file` is for messages and relative paths.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        file::parse(file, text)
    }
}

impl Place {
    /// Degrees north and east; `None` for what is not on Earth.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let fits = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        fits.then_some(Self { latitude, longitude })
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        self.longitude
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            connections_per_address: 1_024,
            requests_per_address: Pace { per_s: 50, burst: 500 },
            guesses_per_meeting: PerMinute { per_minute: 30, burst: 100 },
            guesses_per_address: PerMinute { per_minute: 20, burst: 60 },
        }
    }
}
