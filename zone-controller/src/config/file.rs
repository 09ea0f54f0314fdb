//! `zone-controller.toml` as it is written, and its way to a [`Config`]. Unknown keys are refused;
//! every value is checked.

use super::{Agents, Config, Etcd, Limits, Store, TlsFiles, Tokens};
use crate::placement::{Pace, Rules, Strategy};
use ::daemon::config::{ConfigError, List, ListenTable, Number, Source, Text, Texts, TlsTable};
use ::daemon::keys::KeysTable;
use ::daemon::log::LogTable;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use wire::limits::{NAME_LEN_MAX, TICKET_LIFETIME_S_MAX};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    zone: Text,
    name: Text,
    #[serde(default)]
    listen: ListenTable,
    #[serde(default)]
    tls: TlsTable,
    #[serde(default)]
    tokens: TokensTable,
    #[serde(default)]
    keys: KeysTable,
    #[serde(default)]
    agents: AgentsTable,
    #[serde(default)]
    operators: OperatorsTable,
    #[serde(default)]
    store: StoreTable,
    #[serde(default)]
    meetings: MeetingsTable,
    #[serde(default)]
    placement: PlacementTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensTable {
    keys: Texts,
    signing_key: Text,
    ticket_keys: Text,
    ticket_lifetime: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentsTable {
    authority: Text,
    tokens: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorsTable {
    tokens: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    kind: Text,
    file: Text,
    endpoints: List<String>,
    authority: Text,
    certificate: Text,
    key: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeetingsTable {
    kept: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacementTable {
    strategy: Text,
    full_percent: Number,
    full_for_meetings_percent: Number,
    stale: Text,
    settle: Text,
    meeting_per_s: Number,
    meeting_burst: Number,
    mmr_per_s: Number,
    mmr_burst: Number,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connections: Number,
    connections_per_address: Number,
    requests_per_address_per_s: Number,
    requests_per_address_burst: Number,
    assigns_at_once: Number,
    downloads_at_once: Number,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source { file, text };
    source.read::<File>(super::EXAMPLE)?.check(source)
}

impl File {
    fn check(self, source: Source<'_>) -> Result<Config, ConfigError> {
        let hour = Duration::from_secs(3_600);
        let agents = self.agents.check(source);
        if agents == Agents::default() {
            return Err(source.missing(
                "agents.authority",
                "Name the authority of the agents' certificates, or a file with their tokens (agents.tokens).",
            ));
        }
        Ok(Config {
            zone: source.zone(self.zone)?,
            name: name(source, self.name)?,
            listen: self.listen.check(source)?,
            tls: self.tls.check(source)?,
            tokens: self.tokens.check(source)?,
            fetching: self.keys.check(source, "zone-controller")?,
            agents,
            operators: source.file(self.operators.tokens),
            store: self.store.check(source)?,
            meetings_kept: source.duration(self.meetings.kept, 24 * hour, hour..=720 * hour)?,
            rules: self.placement.check(source)?,
            limits: self.limits.check(source)?,
            log: self.log.check(source)?,
        })
    }
}

fn name(source: Source<'_>, name: Text) -> Result<String, ConfigError> {
    let remedy =
        "Name this controller, in 1 to 64 bytes, otherwise than the zone's other controllers.";
    let span = name.as_ref().map(Spanned::span);
    let name = source.required(name, "name", remedy)?;
    if name.len() > NAME_LEN_MAX || name.contains('/') {
        let reason = "a controller's name has 1 to 64 bytes and no slash";
        return Err(source.wrong(span.unwrap_or(0..0), reason, remedy));
    }
    Ok(name)
}

impl TokensTable {
    fn check(self, source: Source<'_>) -> Result<Tokens, ConfigError> {
        let keys = source.key_sources(
            self.keys,
            "tokens.keys",
            "Name the web infrastructure's public keys for join tokens: a JWKS file, or their https:// URL.",
        )?;
        let signing_key = source.required(
            self.signing_key,
            "tokens.signing_key",
            "Name the key all controllers of the zone sign with; `openssl genpkey -algorithm ed25519` makes one.",
        )?;
        let hour = Duration::from_secs(3_600);
        let longest = Duration::from_secs(TICKET_LIFETIME_S_MAX);
        let minute = Duration::from_secs(60);
        Ok(Tokens {
            keys,
            signing_key: source.path(&signing_key),
            ticket_keys: source.file(self.ticket_keys),
            ticket_lifetime: source.duration(self.ticket_lifetime, 12 * hour, minute..=longest)?,
        })
    }
}

impl AgentsTable {
    fn check(self, source: Source<'_>) -> Agents {
        Agents { authority: source.file(self.authority), tokens: source.file(self.tokens) }
    }
}

impl StoreTable {
    fn check(self, source: Source<'_>) -> Result<Store, ConfigError> {
        let is_etcd = source.text(
            self.kind,
            false,
            |kind| match kind {
                "redb" => Some(false),
                "etcd" => Some(true),
                _ => None,
            },
            "Use \"redb\" for one controller, \"etcd\" for several.",
        )?;
        if !is_etcd {
            let default = PathBuf::from("/var/lib/zone-controller/zone.redb");
            return Ok(Store::Redb(source.file(self.file).unwrap_or(default)));
        }
        let remedy = "List the cluster's members, such as [\"https://etcd-1.example.org:2379\"].";
        let Some(listed) = self.endpoints else {
            return Err(source.missing("store.endpoints", remedy));
        };
        let span = listed.span();
        let endpoints: Vec<String> = listed
            .into_inner()
            .into_iter()
            .map(|text| text.into_inner().trim_end_matches('/').to_owned())
            .collect();
        let is_url = |text: &String| text.starts_with("https://") || text.starts_with("http://");
        if endpoints.is_empty() || !endpoints.iter().all(is_url) {
            return Err(source.wrong(span, "these are no URLs of etcd's members", remedy));
        }
        let identity = match (source.file(self.certificate), source.file(self.key)) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            _ => {
                let remedy = "Set both store.certificate and store.key, or neither.";
                return Err(source.missing("store.key", remedy));
            }
        };
        Ok(Store::Etcd(Etcd { endpoints, authority: source.file(self.authority), identity }))
    }
}

impl PlacementTable {
    fn check(self, source: Source<'_>) -> Result<Rules, ConfigError> {
        let defaults = Rules::default();
        let strategy = source.text(
            self.strategy,
            defaults.strategy,
            |name| Strategy::ALL.into_iter().find(|strategy| strategy.name() == name),
            "Use \"corrected\", \"two-choices\", \"least-loaded\" or \"random\".",
        )?;
        let percent = |value, default| {
            source.number::<u8>(value, 1..=100, default).map(|percent| f64::from(percent) / 100.0)
        };
        let span = self.full_for_meetings_percent.as_ref().map(Spanned::span);
        let full = percent(self.full_percent, 100)?;
        let full_for_meetings = percent(self.full_for_meetings_percent, 80)?;
        if full_for_meetings > full {
            return Err(source.wrong(
                span.unwrap_or(0..0),
                "new meetings would be placed where no participant fits",
                "Let full_for_meetings_percent be at most full_percent.",
            ));
        }
        let second = Duration::from_secs(1);
        let pace = |per_s, burst, default: Pace| {
            Ok(Pace {
                per_s: source.number(per_s, 1..=1_000_000, default.per_s)?,
                burst: source.number(burst, 1..=1_000_000, default.burst)?,
            })
        };
        Ok(Rules {
            strategy,
            full,
            full_for_meetings,
            stale: source.duration(self.stale, defaults.stale, 2 * second..=60 * second)?,
            settle: source.duration(self.settle, defaults.settle, Duration::ZERO..=60 * second)?,
            meeting_pace: pace(self.meeting_per_s, self.meeting_burst, defaults.meeting_pace)?,
            mmr_pace: pace(self.mmr_per_s, self.mmr_burst, defaults.mmr_pace)?,
        })
    }
}

impl LimitsTable {
    fn check(self, source: Source<'_>) -> Result<Limits, ConfigError> {
        let defaults = Limits::default();
        let number = |value, default: u32| source.number(value, 1..=1_000_000, default);
        Ok(Limits {
            connections: number(self.connections, defaults.connections)?,
            connections_per_address: number(
                self.connections_per_address,
                defaults.connections_per_address,
            )?,
            requests_per_address_per_s: number(
                self.requests_per_address_per_s,
                defaults.requests_per_address_per_s,
            )?,
            requests_per_address_burst: number(
                self.requests_per_address_burst,
                defaults.requests_per_address_burst,
            )?,
            assigns_at_once: number(self.assigns_at_once, defaults.assigns_at_once)?,
            downloads_at_once: number(self.downloads_at_once, defaults.downloads_at_once)?,
        })
    }
}
