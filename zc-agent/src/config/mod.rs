//! What an operator decides: the agent's configuration as typed values.

mod file;

use crate::core::Thresholds;
use daemon::config::ConfigError;
use daemon::log::Log;
use reqwest::Url;
use std::path::{Path, PathBuf};
use wire::MmrId;

/// Where the configuration is looked for when nothing else is said.
pub const FILE: &str = "/etc/zc-agent/zc-agent.toml";
/// The commented configuration of the source tree.
const EXAMPLE: &str = "zc-agent.toml";
/// Where the daemon's admin socket is when nothing else is said.
const ADMIN_SOCKET: &str = "/run/mmr/admin.sock";

/// The agent's configuration. `zc-agent.toml` documents every value.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The zone.
    pub zone: String,
    /// The MMR.
    pub mmr: Mmr,
    /// Whom its load is told.
    pub controllers: Controllers,
    /// Shares that count as full.
    pub thresholds: Thresholds,
    /// Interfaces.
    pub network: Network,
    /// Participants the host is thought to carry, until that is measured.
    pub participants: u32,
    /// The log.
    pub log: Log,
}

/// The MMR on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mmr {
    /// Its name within the zone.
    pub id: MmrId,
    /// What its certificate is for; `None`: its first TLS address.
    pub name: Option<String>,
    /// Its admin socket.
    pub socket: PathBuf,
}

/// The zone's controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controllers {
    /// Each one's `https://host:port/`.
    pub urls: Vec<Url>,
    /// PEM, the authority of their certificates.
    pub ca: PathBuf,
    /// PEM, the agent's certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// A file with a bearer token.
    pub token: Option<PathBuf>,
}

/// Which interfaces count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Empty: all that are up.
    pub interfaces: Vec<String>,
    /// Of those that don't tell their own.
    pub speed_bits_per_s: Option<u64>,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place, its reason and its remedy.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::parse(file, &daemon::config::read(file, EXAMPLE)?)
    }

    /// Checks the text of a configuration file; `file` is for messages, and the folder relative
    /// paths count from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        file::parse(file, text)
    }

    /// The values of every key that has a default.
    pub fn with_defaults(zone: &str, id: MmrId, controllers: Controllers) -> Self {
        Self {
            zone: zone.to_owned(),
            mmr: Mmr { id, name: None, socket: PathBuf::from(ADMIN_SOCKET) },
            controllers,
            thresholds: Thresholds::default(),
            network: Network::default(),
            participants: 300,
            log: Log::default(),
        }
    }
}
