//! `zc-agent.toml` as it is written, and its way to a [`Config`]. Unknown keys are refused; every
//! value is checked.

use super::{Config, Controllers, EXAMPLE, Mmr, Network};
use crate::core::Thresholds;
use crate::limits::CONTROLLERS_MAX;
use daemon::config::{ConfigError, List, Number, Source, Text};
use daemon::log::LogTable;
use reqwest::Url;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;
use wire::MmrId;
use wire::limits::REPORT_INTERFACES_MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    zone: Text,
    #[serde(default)]
    mmr: MmrTable,
    #[serde(default)]
    controllers: ControllersTable,
    #[serde(default)]
    thresholds: ThresholdsTable,
    #[serde(default)]
    network: NetworkTable,
    #[serde(default)]
    capacity: CapacityTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MmrTable {
    id: Text,
    name: Text,
    socket: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControllersTable {
    urls: List<String>,
    ca: Text,
    certificate: Text,
    key: Text,
    token: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsTable {
    worker: Number,
    core: Number,
    network: Number,
    memory: Number,
    tables: Number,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkTable {
    interfaces: List<String>,
    speed: Number,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CapacityTable {
    participants: Number,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source { file, text };
    let written: File = source.read(EXAMPLE)?;
    let zone = source.zone(written.zone)?;
    let (id, name, socket) = written.mmr.check(source)?;
    let defaults = Config::with_defaults(&zone, id, written.controllers.check(source)?);
    let participants = written.capacity.participants;
    Ok(Config {
        mmr: Mmr { name, socket: socket.unwrap_or(defaults.mmr.socket), ..defaults.mmr },
        thresholds: written.thresholds.check(source)?,
        network: written.network.check(source)?,
        participants: source.number(participants, 1..=1_000_000, defaults.participants)?,
        log: written.log.check(source)?,
        ..defaults
    })
}

impl MmrTable {
    fn check(
        self,
        source: Source<'_>,
    ) -> Result<(MmrId, Option<String>, Option<PathBuf>), ConfigError> {
        let remedy = "Give the router a name of its own in the zone: 1 to 64 of A-Z a-z 0-9 . _ -";
        let span = self.id.as_ref().map(Spanned::span);
        let id = source.required(self.id, "mmr.id", remedy)?;
        let id = MmrId::try_from(id)
            .map_err(|error| source.wrong(span.unwrap_or(0..0), error.to_string(), remedy))?;
        let name = source.text(
            self.name,
            None,
            |name| ServerName::try_from(name).is_ok().then(|| Some(name.to_owned())),
            "Write a DNS name or an IP address, without a port.",
        )?;
        let socket = optional(source, self.socket, "mmr.socket", "Name the router's admin.socket.");
        Ok((id, name, socket?))
    }
}

impl ControllersTable {
    fn check(self, source: Source<'_>) -> Result<Controllers, ConfigError> {
        let urls = urls(source, self.urls)?;
        let ca = "Name the PEM file with the certificate of the authority that issued theirs.";
        let ca = source.path(&source.required(self.ca, "controllers.ca", ca)?);
        let pem = "Name a PEM file, or remove the key.";
        let certificate = optional(source, self.certificate, "controllers.certificate", pem)?;
        let key = optional(source, self.key, "controllers.key", pem)?;
        let token =
            optional(source, self.token, "controllers.token", "Name a file, or remove it.")?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) if token.is_some() => None,
            (Some(_), None) => {
                return Err(source.missing("controllers.key", "Name the certificate's key."));
            }
            _ => {
                return Err(source.missing(
                    "controllers.certificate",
                    "Controllers must know who reports: give a certificate with its key, or a token.",
                ));
            }
        };
        Ok(Controllers { urls, ca, identity, token })
    }
}

fn urls(source: Source<'_>, list: List<String>) -> Result<Vec<Url>, ConfigError> {
    let remedy = "List the zone's controllers, such as [\"https://zc-1.example.org\"].";
    let list = list.ok_or_else(|| source.missing("controllers.urls", remedy))?;
    if list.get_ref().is_empty() || list.get_ref().len() > CONTROLLERS_MAX {
        let reason = format!("there must be 1 to {CONTROLLERS_MAX} controllers");
        return Err(source.wrong(list.span(), reason, remedy));
    }
    let mut urls = Vec::new();
    for text in list.into_inner() {
        let url = origin(text.get_ref()).ok_or_else(|| {
            // What is written is not repeated: a password may be in it.
            source.wrong(
                text.span(),
                "this is no controller's address",
                "Write https://, a name or IP address, and a port if it is not 443.",
            )
        })?;
        if urls.contains(&url) {
            let reason = format!("{url} is listed twice");
            return Err(source.wrong(text.span(), reason, "List each controller once."));
        }
        urls.push(url);
    }
    Ok(urls)
}

/// Scheme, host and port, and nothing else.
fn origin(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (url.scheme() == "https" && url.has_host() && bare).then_some(url)
}

/// A path that may be left out, but not be empty.
fn optional(
    source: Source<'_>,
    value: Text,
    key: &str,
    remedy: &str,
) -> Result<Option<PathBuf>, ConfigError> {
    match value {
        None => Ok(None),
        value => Ok(Some(source.path(&source.required(value, key, remedy)?))),
    }
}

impl ThresholdsTable {
    fn check(self, source: Source<'_>) -> Result<Thresholds, ConfigError> {
        let defaults = Thresholds::default();
        let share = |value: Number, default: Option<f64>| match value {
            None => Ok(default),
            value => source
                .number(value, 0..=100, 0_u8)
                .map(|percent| (percent > 0).then_some(f64::from(percent) / 100.0)),
        };
        Ok(Thresholds {
            worker: share(self.worker, defaults.worker)?,
            core: share(self.core, defaults.core)?,
            network: share(self.network, defaults.network)?,
            memory: share(self.memory, defaults.memory)?,
            tables: share(self.tables, defaults.tables)?,
        })
    }
}

impl NetworkTable {
    fn check(self, source: Source<'_>) -> Result<Network, ConfigError> {
        let mbit: u64 = source.number(self.speed, 0..=10_000_000, 0)?;
        let span = self.interfaces.as_ref().map(Spanned::span);
        let interfaces = self.interfaces.map(Spanned::into_inner).unwrap_or_default();
        let interfaces: Vec<String> = interfaces.into_iter().map(Spanned::into_inner).collect();
        // IFNAMSIZ, with the byte that ends it; names become paths.
        let is_name = |name: &String| (1..16).contains(&name.len()) && !name.contains('/');
        if interfaces.len() > REPORT_INTERFACES_MAX || !interfaces.iter().all(is_name) {
            return Err(source.wrong(
                span.unwrap_or(0..0),
                "these are not at most 64 names of interfaces",
                "List names as `ip link` shows them, such as [\"eth0\"].",
            ));
        }
        let speed_bits_per_s = (mbit > 0).then_some(mbit * 1_000_000);
        Ok(Network { interfaces, speed_bits_per_s })
    }
}
