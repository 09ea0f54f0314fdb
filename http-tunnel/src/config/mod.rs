//! What an operator decides: `http-tunnel.toml` as typed values. That file documents every key.
//!
//! Files that it names (certificate, keys, tokens) are read by the daemon.

mod file;

use crate::accounts::Allowance;
use crate::target::Target;
use ::daemon::config::ConfigError;
pub use ::daemon::config::{Listen, TlsFiles};
pub use ::daemon::keys::{Fetching, KeySource};
use ::daemon::log::Log;
use ::daemon::pace::Pace;
use ipnet::IpNet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the configuration is looked for when nothing else is said.
pub const FILE: &str = "/etc/http-tunnel/http-tunnel.toml";
/// The commented one of the source tree.
const EXAMPLE: &str = "http-tunnel.toml";

/// A tunnel's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// What it shows everybody.
    pub tls: TlsFiles,
    /// Where it leads to.
    pub zones: Vec<Zone>,
    /// How keys are fetched that are elsewhere.
    pub fetching: Fetching,
    /// Networks that are not public, which names of targets may yet resolve to.
    pub private: Vec<IpNet>,
    /// File with the bearer tokens of operators, one a line; nobody may see metrics without.
    pub operators: Option<PathBuf>,
    /// How much of everything.
    pub limits: Limits,
    /// How long tunnels may go on once the daemon was asked to end.
    pub drain_deadline: Duration,
    /// The log.
    pub log: Log,
}

/// A zone, and what a tunnel may lead to in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The audience of its tokens.
    pub name: String,
    /// Where the public keys of its tokens and tickets are.
    pub keys: Vec<KeySource>,
    /// Its controllers and MMRs.
    pub targets: Vec<Target>,
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
    /// Tunnels at once.
    pub tunnels: u32,
    /// What each participant may use.
    pub participant: Allowance,
    /// A tunnel in which nothing moves for so long is ended.
    pub idle: Duration,
    /// A tunnel that one end has closed is ended after so long.
    pub half_open: Duration,
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
            connections: 8_192,
            connections_per_address: 1_024,
            requests_per_address: Pace { per_s: 50, burst: 500 },
            tunnels: 8_192,
            participant: Allowance {
                // A probe of each of a dozen controllers at once, or four connections to one MMR
                // twice, while its participant moves.
                tunnels: 16,
                asks: Pace { per_s: 2, burst: 32 },
                bytes_per_s: 4 << 20,
                bytes: 32 << 30,
            },
            idle: Duration::from_secs(60),
            half_open: Duration::from_secs(10),
        }
    }
}
