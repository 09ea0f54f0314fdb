//! What an operator decides: `zone-controller.toml` as typed values. That file documents every key.
//!
//! Files that it names (certificates, keys, tokens) are read by [`crate::credentials`].

mod file;

use crate::placement::Rules;
use ::daemon::config::ConfigError;
pub use ::daemon::config::{Listen, TlsFiles};
pub use ::daemon::keys::{Fetching, KeySource};
use ::daemon::log::Log;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the configuration is looked for when nothing else is said.
pub const FILE: &str = "/etc/zone-controller/zone-controller.toml";
/// The commented one of the source tree.
const EXAMPLE: &str = "zone-controller.toml";

/// A controller's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The zone: the audience of its join tokens.
    pub zone: String,
    /// This controller's name, another than those of the zone's other controllers.
    pub name: String,
    /// Where it listens.
    pub listen: Listen,
    /// What it shows everybody.
    pub tls: TlsFiles,
    /// What it takes and signs.
    pub tokens: Tokens,
    /// How keys are fetched that are elsewhere.
    pub fetching: Fetching,
    /// How agents prove who they are.
    pub agents: Agents,
    /// File with the bearer tokens of operators, one a line; nobody may look or drain without.
    pub operators: Option<PathBuf>,
    /// Where controllers agree.
    pub store: Store,
    /// For how long after the last join a meeting keeps its MMR.
    pub meetings_kept: Duration,
    /// How meetings are placed.
    pub rules: Rules,
    /// How much of everything.
    pub limits: Limits,
    /// The log.
    pub log: Log,
}

/// What a controller takes and signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Where the web infrastructure's public keys for join tokens are.
    pub keys: Vec<KeySource>,
    /// The key, Ed25519 in PKCS#8 PEM, that all controllers of the zone sign with.
    pub signing_key: PathBuf,
    /// JWKS with the keys whose tickets count; the signing key's alone when there is none.
    pub ticket_keys: Option<PathBuf>,
    /// How long a ticket is valid.
    pub ticket_lifetime: Duration,
}

/// How agents prove who they are: either will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agents {
    /// The authority that signs agents' certificates, each for the id of its MMR.
    pub authority: Option<PathBuf>,
    /// File with bearer tokens, one a line.
    pub tokens: Option<PathBuf>,
}

/// Where controllers agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file of this host: one controller.
    Redb(PathBuf),
    /// A cluster: any number.
    Etcd(Etcd),
}

/// How the etcd cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etcd {
    /// Such as `https://etcd-1.example.org:2379`.
    pub endpoints: Vec<String>,
    /// The authority that signs its certificates.
    pub authority: Option<PathBuf>,
    /// What this controller shows it.
    pub identity: Option<TlsFiles>,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once from one address (IPv6: one /64).
    pub connections_per_address: u32,
    /// Requests a second from one address, in the long run; agents' reports apart.
    pub requests_per_address_per_s: u32,
    /// The same, at once.
    pub requests_per_address_burst: u32,
    /// Assignments under way at once.
    pub assigns_at_once: u32,
    /// Downloads for the network test at once.
    pub downloads_at_once: u32,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            connections_per_address: 256,
            requests_per_address_per_s: 100,
            requests_per_address_burst: 500,
            assigns_at_once: 2_048,
            downloads_at_once: 64,
        }
    }
}
