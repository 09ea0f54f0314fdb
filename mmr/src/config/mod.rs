//! What an operator decides: the daemon's configuration as typed values.
//!
//! [`Config::load`] reads `mmr.toml`; tests and the zone demo make a [`Config`] in process
//! ([`crate::dev::Dev`]). Files that the configuration names (certificate, keys) are read by
//! [`crate::credentials`], not here.

mod file;

pub use daemon::config::{ConfigError, TlsFiles, parse_duration, parse_size};
pub use daemon::keys::{Fetching, KeySource};
pub use daemon::log::{Log, LogFormat};

use crate::express::ExpressChoice;
use crate::network::BackendChoice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::mark::Marks;

/// The UDP and TCP port of media when nothing else is said.
pub const MEDIA_PORT: u16 = 8801;
/// The TLS port when nothing else is said.
pub const TLS_PORT: u16 = 443;
/// Where the configuration is looked for when nothing else is said.
pub const FILE: &str = "/etc/mmr/mmr.toml";
/// Where the admin socket is when nothing else is said.
pub const ADMIN_SOCKET: &str = "/run/mmr/admin.sock";

/// The daemon's configuration. `mmr.toml` documents every value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The zone this MMR belongs to: the audience of its join tokens.
    pub zone: String,
    /// Addresses and ports.
    pub listen: Listen,
    /// Threads of the data plane.
    pub workers: Workers,
    /// Socket buffers.
    pub buffers: Buffers,
    /// DSCP per kind.
    pub marks: Marks,
    /// The certificate of the TLS port.
    pub tls: TlsFiles,
    /// Where the zone's public keys for join tokens are.
    pub token_keys: Vec<KeySource>,
    /// How keys are fetched that are elsewhere.
    pub fetching: Fetching,
    /// How much of everything.
    pub limits: Limits,
    /// The admin socket; `None` for none.
    pub admin_socket: Option<PathBuf>,
    /// How long SIGTERM waits for participants to leave.
    pub drain_deadline: Duration,
    /// The log.
    pub log: Log,
}

/// Addresses and ports. Port 0 takes a free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Local addresses, at least one; all three transports listen on each.
    pub addresses: Vec<IpAddr>,
    /// UDP and TCP.
    pub media_port: u16,
    /// TLS: control channels and media.
    pub tls_port: u16,
    /// Addresses told to clients, best first; empty: those listened on, or the host's where that is
    /// "any".
    pub advertise: Vec<IpAddr>,
}

/// Threads of the data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// How many; `None`: one a core, less one for the control and stream threads.
    pub count: Option<u8>,
    /// The cores they are pinned to, in order; empty: the first allowed ones.
    pub cores: Vec<usize>,
    /// How they talk to the kernel.
    pub backend: BackendChoice,
    /// Whether the kernel replicates what needs no worker.
    pub express: ExpressChoice,
}

/// Sizes asked for each UDP socket, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// SO_RCVBUF.
    pub receive: usize,
    /// SO_SNDBUF.
    pub send: usize,
}

/// How much of everything; memory for it is taken at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Links at once.
    pub links: u32,
    /// Layers at once.
    pub layers: u32,
    /// Routes at once.
    pub routes: u32,
    /// Packets each worker keeps for retransmission.
    pub history_packets: u32,
    /// Participants of one meeting.
    pub participants_per_meeting: u32,
    /// Control channels at once.
    pub channels: u32,
    /// Control channels at once from one address (IPv6: one /64).
    pub channels_per_address: u32,
    /// TCP and TLS connections for media at once.
    pub connections: u32,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place, its reason and its remedy.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = daemon::config::read(file, "mmr.toml")?;
        Self::parse(file, &text)
    }

    /// Checks the text of a configuration file; `file` is for messages only.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        file::parse(file, text)
    }

    /// The values of every key that has a default, with the given names for the rest; the keys of join
    /// tokens are in a file.
    pub fn with_defaults(zone: &str, tls: TlsFiles, token_keys: PathBuf) -> Self {
        Self {
            zone: zone.to_owned(),
            listen: Listen::default(),
            workers: Workers::default(),
            buffers: Buffers::default(),
            marks: Marks::DEFAULT,
            tls,
            token_keys: vec![KeySource::File(token_keys)],
            fetching: Fetching::with_defaults("mmr"),
            limits: Limits::default(),
            admin_socket: Some(PathBuf::from(ADMIN_SOCKET)),
            drain_deadline: Duration::from_secs(600),
            log: Log::default(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            addresses: vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            media_port: MEDIA_PORT,
            tls_port: TLS_PORT,
            advertise: Vec::new(),
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self { receive: 4 << 20, send: 4 << 20 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            links: 16_384,
            layers: 16_384,
            routes: 1 << 18,
            history_packets: 16_384,
            participants_per_meeting: 1_024,
            channels: 8_192,
            channels_per_address: 512,
            connections: 8_192,
        }
    }
}
