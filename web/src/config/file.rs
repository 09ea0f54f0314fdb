//! `mmr-web.toml` as it is written, and its way to a [`Config`]. Unknown keys are refused; every value is
//! checked.

use super::{Config, Health, Limits, Place, Store, Zone};
use crate::guesses::PerMinute;
use crate::limits::{
    CONTROLLERS_MAX, KEYS_MAX, TUNNELS_MAX, ZONE_KEPT_MAX, ZONE_KEPT_MIN, ZONES_MAX,
};
use ::daemon::config::{ConfigError, List, ListenTable, Number, Source, Text, TlsTable};
use ::daemon::https::AUTHORITIES;
use ::daemon::log::LogTable;
use ::daemon::pace::Pace;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use wire::limits::TOKEN_LIFETIME_S_MAX;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: Text,
    #[serde(default)]
    listen: ListenTable,
    #[serde(default)]
    tls: TlsTable,
    #[serde(default)]
    store: StoreTable,
    #[serde(default)]
    tokens: TokensTable,
    #[serde(default)]
    meetings: MeetingsTable,
    #[serde(default)]
    operators: OperatorsTable,
    #[serde(default)]
    zones: Vec<ZoneTable>,
    #[serde(default)]
    health: HealthTable,
    #[serde(default)]
    geo: GeoTable,
    #[serde(default)]
    tunnels: TunnelsTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    kind: Text,
    file: Text,
    url_file: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensTable {
    signing_keys: List<String>,
    lifetime: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeetingsTable {
    zone_kept: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorsTable {
    tokens: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneTable {
    name: Text,
    controllers: List<String>,
    latitude: Option<Spanned<f64>>,
    longitude: Option<Spanned<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthTable {
    authority: Text,
    interval: Text,
    lost_after: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeoTable {
    database: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TunnelsTable {
    urls: List<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connections: Number,
    connections_per_address: Number,
    requests_per_address_per_s: Number,
    requests_per_address_burst: Number,
    guesses_per_meeting_per_minute: Number,
    guesses_per_meeting_burst: Number,
    guesses_per_address_per_minute: Number,
    guesses_per_address_burst: Number,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source { file, text };
    source.read::<File>(super::EXAMPLE)?.check(source)
}

impl File {
    fn check(self, source: Source<'_>) -> Result<Config, ConfigError> {
        let remedy = "Write what meetings' links begin with, such as \"https://meet.example.org\".";
        let span = self.url.as_ref().map_or(0..0, Spanned::span);
        let url = source.required(self.url, "url", remedy)?;
        let url =
            base_url(&url).ok_or_else(|| source.wrong(span, "this is no such URL", remedy))?;
        let (signing_keys, token_lifetime) = self.tokens.check(source)?;
        Ok(Config {
            url,
            listen: self.listen.check(source)?,
            tls: self.tls.check(source)?,
            store: self.store.check(source)?,
            signing_keys,
            token_lifetime,
            zone_kept: source.duration(
                self.meetings.zone_kept,
                DAY,
                ZONE_KEPT_MIN..=ZONE_KEPT_MAX,
            )?,
            operators: source.file(self.operators.tokens),
            zones: zones(source, self.zones)?,
            health: self.health.check(source)?,
            geo_database: source.file(self.geo.database),
            tunnels: urls(source, self.tunnels.urls, TUNNELS_MAX)?,
            limits: self.limits.check(source)?,
            log: self.log.check(source)?,
        })
    }
}

impl StoreTable {
    fn check(self, source: Source<'_>) -> Result<Store, ConfigError> {
        let is_postgres = source.text(
            self.kind,
            false,
            |kind| match kind {
                "sqlite" => Some(false),
                "postgres" => Some(true),
                _ => None,
            },
            "Use \"sqlite\" for one instance, \"postgres\" for several.",
        )?;
        if is_postgres {
            let remedy = "Name the file that holds the database's URL: postgres://USER:PASSWORD@HOST/DATABASE.";
            let file = source.required(self.url_file, "store.url_file", remedy)?;
            return Ok(Store::Postgres(source.path(&file)));
        }
        let default = PathBuf::from("/var/lib/mmr-web/web.db");
        Ok(Store::Sqlite(source.file(self.file).unwrap_or(default)))
    }
}

impl TokensTable {
    fn check(self, source: Source<'_>) -> Result<(Vec<PathBuf>, Duration), ConfigError> {
        let remedy =
            "List 1 to 8 files with Ed25519 keys; `openssl genpkey -algorithm ed25519` makes one.";
        let Some(list) = self.signing_keys else {
            return Err(source.missing("tokens.signing_keys", remedy));
        };
        let (span, list) = (list.span(), list.into_inner());
        if list.is_empty() || list.len() > KEYS_MAX {
            return Err(source.wrong(span, format!("there are {} keys", list.len()), remedy));
        }
        let keys = list.into_iter().map(|file| source.path(file.get_ref())).collect();
        let (minute, longest) = (60, TOKEN_LIFETIME_S_MAX);
        let range = Duration::from_secs(minute)..=Duration::from_secs(longest);
        Ok((keys, source.duration(self.lifetime, Duration::from_secs(5 * minute), range)?))
    }
}

fn zones(source: Source<'_>, tables: Vec<ZoneTable>) -> Result<Vec<Zone>, ConfigError> {
    if tables.is_empty() || tables.len() > ZONES_MAX {
        return Err(source.missing("zones", "Write [[zones]] for each zone, 1 to 256."));
    }
    let mut zones: Vec<Zone> = Vec::new();
    for table in tables {
        let span = table.name.as_ref().map_or(0..0, Spanned::span);
        let zone = table.check(source)?;
        if zones.iter().any(|known| known.name == zone.name) {
            let reason = format!("the zone \"{}\" is there twice", zone.name);
            return Err(source.wrong(span, reason, "Write each zone once."));
        }
        zones.push(zone);
    }
    Ok(zones)
}

impl ZoneTable {
    fn check(self, source: Source<'_>) -> Result<Zone, ConfigError> {
        let name = source.zone(self.name)?;
        let controllers = urls(source, self.controllers, CONTROLLERS_MAX)?;
        if controllers.is_empty() {
            let remedy = "List the zone's controllers, such as [\"https://zc-1.example.org\"].";
            return Err(source.missing("zones.controllers", remedy));
        }
        let place = match (self.latitude, self.longitude) {
            (None, None) => None,
            (Some(latitude), Some(longitude)) => {
                let place = Place::new(*latitude.get_ref(), *longitude.get_ref());
                let remedy = "Write degrees north (-90.0 to 90.0) and east (-180.0 to 180.0).";
                let wrong = || source.wrong(latitude.span(), "this is not on Earth", remedy);
                Some(place.ok_or_else(wrong)?)
            }
            _ => {
                let remedy = "Write both latitude and longitude of the zone, or neither.";
                return Err(source.missing("zones.longitude", remedy));
            }
        };
        Ok(Zone { name, controllers, place })
    }
}

impl HealthTable {
    fn check(self, source: Source<'_>) -> Result<Health, ConfigError> {
        let second = Duration::from_secs(1);
        let default = PathBuf::from(AUTHORITIES);
        Ok(Health {
            authority: source.file(self.authority).unwrap_or(default),
            interval: source.duration(self.interval, 5 * second, second..=60 * second)?,
            lost_after: source.duration(self.lost_after, 30 * second, second..=3_600 * second)?,
        })
    }
}

impl LimitsTable {
    fn check(self, source: Source<'_>) -> Result<Limits, ConfigError> {
        let defaults = Limits::default();
        let number = |value, default: u32| source.number(value, 1..=1_000_000, default);
        let guesses = |per_minute, burst, default: PerMinute| {
            Ok(PerMinute {
                per_minute: number(per_minute, default.per_minute)?,
                burst: number(burst, default.burst)?,
            })
        };
        let requests = defaults.requests_per_address;
        Ok(Limits {
            connections: number(self.connections, defaults.connections)?,
            connections_per_address: number(
                self.connections_per_address,
                defaults.connections_per_address,
            )?,
            requests_per_address: Pace {
                per_s: number(self.requests_per_address_per_s, requests.per_s)?,
                burst: number(self.requests_per_address_burst, requests.burst)?,
            },
            guesses_per_meeting: guesses(
                self.guesses_per_meeting_per_minute,
                self.guesses_per_meeting_burst,
                defaults.guesses_per_meeting,
            )?,
            guesses_per_address: guesses(
                self.guesses_per_address_per_minute,
                self.guesses_per_address_burst,
                defaults.guesses_per_address,
            )?,
        })
    }
}

fn urls(source: Source<'_>, list: List<String>, most: usize) -> Result<Vec<String>, ConfigError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let (span, list) = (list.span(), list.into_inner());
    if list.len() > most {
        let reason = format!("there are {} of them", list.len());
        return Err(source.wrong(span, reason, format!("List {most} at most.")));
    }
    list.into_iter()
        .map(|text| {
            base_url(text.get_ref()).ok_or_else(|| {
                let reason = format!("\"{}\" is no such URL", text.get_ref());
                source.wrong(text.span(), reason, "Write https://, a host, and a port if need be.")
            })
        })
        .collect()
}

/// `https://host` or `https://host:port`, without a path.
fn base_url(text: &str) -> Option<String> {
    let uri: hyper::Uri = text.trim_end_matches('/').parse().ok()?;
    let fits = uri.scheme_str() == Some("https")
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.path() == "/"
        && uri.query().is_none();
    fits.then(|| format!("https://{}", uri.authority().map_or("", |authority| authority.as_str())))
}
