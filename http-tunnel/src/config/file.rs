//! `http-tunnel.toml` as it is written, and its way to a [`Config`]. Unknown keys are refused; every
//! value is checked.

use super::{Config, Limits, Zone};
use crate::accounts::Allowance;
use crate::limits::{
    BYTES_PER_S_MIN, IDLE_MIN, TARGETS_MAX, TUNNELS_PER_PARTICIPANT_MAX, ZONES_MAX,
};
use crate::target::Target;
use ::daemon::config::{
    ConfigError, List, ListenTable, Number, Source, Text, Texts, TlsTable, parse_size,
};
use ::daemon::keys::KeysTable;
use ::daemon::log::LogTable;
use ::daemon::pace::Pace;
use ipnet::IpNet;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    listen: ListenTable,
    #[serde(default)]
    tls: TlsTable,
    #[serde(default)]
    zones: Vec<ZoneTable>,
    #[serde(default)]
    keys: KeysTable,
    #[serde(default)]
    names: NamesTable,
    #[serde(default)]
    operators: OperatorsTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    drain: DrainTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneTable {
    name: Text,
    keys: Texts,
    controllers: List<String>,
    mmrs: List<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesTable {
    private: List<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorsTable {
    tokens: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connections: Number,
    connections_per_address: Number,
    requests_per_address_per_s: Number,
    requests_per_address_burst: Number,
    tunnels: Number,
    participant_tunnels: Number,
    participant_asks_per_s: Number,
    participant_asks_burst: Number,
    participant_bytes_per_s: Text,
    participant_bytes: Text,
    idle: Text,
    half_open: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainTable {
    deadline: Text,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source { file, text };
    source.read::<File>(super::EXAMPLE)?.check(source)
}

impl File {
    fn check(self, source: Source<'_>) -> Result<Config, ConfigError> {
        let minute = Duration::from_secs(60);
        Ok(Config {
            listen: self.listen.check(source)?,
            tls: self.tls.check(source)?,
            zones: zones(source, self.zones)?,
            fetching: self.keys.check(source, "http-tunnel")?,
            private: self.names.check(source)?,
            operators: source.file(self.operators.tokens),
            limits: self.limits.check(source)?,
            drain_deadline: source.duration(
                self.drain.deadline,
                10 * minute,
                Duration::ZERO..=60 * minute,
            )?,
            log: self.log.check(source)?,
        })
    }
}

fn zones(source: Source<'_>, tables: Vec<ZoneTable>) -> Result<Vec<Zone>, ConfigError> {
    if tables.is_empty() || tables.len() > ZONES_MAX {
        return Err(source.missing("zones", "Write [[zones]] for each zone it leads to, 1 to 256."));
    }
    let mut zones: Vec<Zone> = Vec::new();
    for table in tables {
        let span = table.name.as_ref().map(Spanned::span);
        let zone = table.check(source)?;
        if zones.iter().any(|known| known.name == zone.name) {
            let reason = format!("the zone \"{}\" is there twice", zone.name);
            return Err(source.wrong(span.unwrap_or(0..0), reason, "Write each zone once."));
        }
        zones.push(zone);
    }
    Ok(zones)
}

impl ZoneTable {
    fn check(self, source: Source<'_>) -> Result<Zone, ConfigError> {
        let name = source.zone(self.name)?;
        let remedy =
            "Name the public keys of its join tokens and tickets: JWKS files, or https:// URLs.";
        let keys = source.key_sources(self.keys, "zones.keys", remedy)?;
        let mut targets = Vec::new();
        for list in [self.controllers, self.mmrs].into_iter().flatten() {
            for text in list.into_inner() {
                targets.push(target(source, &text)?);
            }
        }
        if targets.is_empty() || targets.len() > TARGETS_MAX {
            return Err(source.missing(
                "zones.controllers",
                "List the zone's controllers and MMRs as \"host:port\", 1 to 16384 of them.",
            ));
        }
        Ok(Zone { name, keys, targets })
    }
}

fn target(source: Source<'_>, text: &Spanned<String>) -> Result<Target, ConfigError> {
    Target::parse(text.get_ref()).map_err(|error| {
        let reason = format!("\"{}\" can't be led to: it is {error}", text.get_ref());
        let remedy = "Write \"zc-1.example.org:443\", \"192.0.2.1:443\" or \"[2001:db8::1]:443\".";
        source.wrong(text.span(), reason, remedy)
    })
}

impl NamesTable {
    fn check(self, source: Source<'_>) -> Result<Vec<IpNet>, ConfigError> {
        let list = self.private.map(Spanned::into_inner).unwrap_or_default();
        list.into_iter()
            .map(|text| {
                text.get_ref().parse::<IpNet>().map_err(|_| {
                    let reason = format!("\"{}\" is not a network", text.get_ref());
                    source.wrong(
                        text.span(),
                        reason,
                        "Write it as \"10.1.0.0/16\" or \"fd00::/8\".",
                    )
                })
            })
            .collect()
    }
}

impl LimitsTable {
    fn check(self, source: Source<'_>) -> Result<Limits, ConfigError> {
        let defaults = Limits::default();
        let usual = defaults.participant;
        let number = |value, default: u32| source.number(value, 1..=1_000_000, default);
        let pace = |per_s, burst, default: Pace| {
            Ok(Pace { per_s: number(per_s, default.per_s)?, burst: number(burst, default.burst)? })
        };
        let most = i64::from(TUNNELS_PER_PARTICIPANT_MAX);
        let hour = Duration::from_secs(3_600);
        Ok(Limits {
            connections: number(self.connections, defaults.connections)?,
            connections_per_address: number(
                self.connections_per_address,
                defaults.connections_per_address,
            )?,
            requests_per_address: pace(
                self.requests_per_address_per_s,
                self.requests_per_address_burst,
                defaults.requests_per_address,
            )?,
            tunnels: number(self.tunnels, defaults.tunnels)?,
            participant: Allowance {
                tunnels: source.number(self.participant_tunnels, 1..=most, usual.tunnels)?,
                asks: pace(self.participant_asks_per_s, self.participant_asks_burst, usual.asks)?,
                bytes_per_s: source.text(
                    self.participant_bytes_per_s,
                    usual.bytes_per_s,
                    bytes_per_s,
                    "Write a size such as \"4MiB\": 64KiB to 1GiB.",
                )?,
                bytes: source.text(
                    self.participant_bytes,
                    usual.bytes,
                    |text| parse_size(text).filter(|bytes| *bytes > 0).map(|bytes| bytes as u64),
                    "Write a size such as \"512MiB\" or \"32GiB\".",
                )?,
            },
            idle: source.duration(self.idle, defaults.idle, IDLE_MIN..=hour)?,
            half_open: source.duration(self.half_open, defaults.half_open, IDLE_MIN..=hour)?,
        })
    }
}

fn bytes_per_s(text: &str) -> Option<u32> {
    let bytes = u32::try_from(parse_size(text)?).ok()?;
    (BYTES_PER_S_MIN..=1 << 30).contains(&bytes).then_some(bytes)
}
