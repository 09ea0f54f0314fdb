//! `mmr.toml` as it is written, and its way to a [`Config`]. Unknown keys are refused; every value
//! is checked.

use super::{Buffers, Config, ConfigError, Limits, Listen, Workers, parse_duration, parse_size};
use crate::express::ExpressChoice;
use crate::network::BackendChoice;
use daemon::config::{List, Number, Source, Text, Texts, TlsTable};
use daemon::keys::KeysTable;
use daemon::log::LogTable;
use router::limits;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use toml::Spanned;
use wire::mark::{Dscp, Marks};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    zone: Text,
    #[serde(default)]
    listen: ListenTable,
    #[serde(default)]
    workers: WorkersTable,
    #[serde(default)]
    buffers: BuffersTable,
    #[serde(default)]
    dscp: DscpTable,
    #[serde(default)]
    tls: TlsTable,
    #[serde(default)]
    tokens: TokensTable,
    #[serde(default)]
    keys: KeysTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    admin: AdminTable,
    #[serde(default)]
    drain: DrainTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenTable {
    addresses: List<String>,
    media_port: Number,
    tls_port: Number,
    advertise: List<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkersTable {
    count: Number,
    cores: List<i64>,
    backend: Text,
    express: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuffersTable {
    receive: Text,
    send: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DscpTable {
    preset: Text,
    audio: Number,
    video: Number,
    content: Number,
    control: Number,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensTable {
    keys: Texts,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    links: Number,
    layers: Number,
    routes: Number,
    history_packets: Number,
    participants_per_meeting: Number,
    channels: Number,
    channels_per_address: Number,
    connections: Number,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminTable {
    socket: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainTable {
    deadline: Text,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source { file, text };
    let written: File = source.read("mmr.toml")?;
    written.check(source)
}

impl File {
    fn check(self, source: Source<'_>) -> Result<Config, ConfigError> {
        let zone = source.zone(self.zone)?;
        let tls = self.tls.check(source)?;
        let token_keys = source.key_sources(
            self.tokens.keys,
            "tokens.keys",
            "Name the zone's public keys for join tokens: a JWKS file, or an https:// URL.",
        )?;
        let defaults = Config { token_keys, ..Config::with_defaults(&zone, tls, PathBuf::new()) };
        let admin_socket = match self.admin.socket {
            None => defaults.admin_socket.clone(),
            Some(path) if path.get_ref().is_empty() => None,
            Some(path) => Some(source.path(path.get_ref())),
        };
        let drain_deadline = source.text(
            self.drain.deadline,
            defaults.drain_deadline,
            parse_duration,
            "Write a whole number and its unit: \"90s\", \"10m\" or \"2h\"; \"8760h\" at most.",
        )?;
        Ok(Config {
            listen: self.listen.check(source)?,
            workers: self.workers.check(source)?,
            buffers: self.buffers.check(source)?,
            marks: self.dscp.check(source)?,
            limits: self.limits.check(source)?,
            log: self.log.check(source)?,
            fetching: self.keys.check(source, "mmr")?,
            admin_socket,
            drain_deadline,
            ..defaults
        })
    }
}

impl ListenTable {
    fn check(self, source: Source<'_>) -> Result<Listen, ConfigError> {
        let defaults = Listen::default();
        let addresses = source.listen_addresses(self.addresses, defaults.addresses)?;
        let written = self.tls_port.as_ref().or(self.media_port.as_ref()).map(Spanned::span);
        let media_port = source.number(self.media_port, 0..=65_535, defaults.media_port)?;
        let tls_port = source.number(self.tls_port, 0..=65_535, defaults.tls_port)?;
        if media_port == tls_port && media_port != 0 {
            return Err(source.wrong(
                written.unwrap_or(0..0),
                format!("media over TCP and TLS can't both listen on port {tls_port}"),
                "Give listen.media_port and listen.tls_port a port each.",
            ));
        }
        Ok(Listen {
            addresses,
            media_port,
            tls_port,
            advertise: addresses_to_tell(source, self.advertise)?,
        })
    }
}

fn addresses_to_tell(source: Source<'_>, list: List<String>) -> Result<Vec<IpAddr>, ConfigError> {
    let span = list.as_ref().map(Spanned::span);
    let told = source.addresses(list)?.unwrap_or_default();
    match told.iter().find(|address| address.is_unspecified()) {
        None => Ok(told),
        Some(any) => Err(source.wrong(
            span.unwrap_or(0..0),
            format!("clients can't connect to {any}"),
            "List the addresses clients reach this host by, or nothing to use the host's own.",
        )),
    }
}

impl WorkersTable {
    fn check(self, source: Source<'_>) -> Result<Workers, ConfigError> {
        let most = i64::try_from(limits::WORKERS_MAX).unwrap_or(i64::MAX);
        let listed = self.cores.as_ref().map(Spanned::span);
        let cores = self.cores.map(Spanned::into_inner).unwrap_or_default();
        let cores = cores
            .into_iter()
            .map(|core| source.number(Some(core), 0..=4_095, 0))
            .collect::<Result<Vec<usize>, _>>()?;
        let count: u8 = source.number(self.count, 0..=most, 0)?;
        if !cores.is_empty() && cores.len() < usize::from(count) {
            return Err(source.wrong(
                listed.unwrap_or(0..0),
                format!("{count} workers can't have a core each of {} listed", cores.len()),
                "List a core for each worker, or leave count or cores out.",
            ));
        }
        let backend = source.text(
            self.backend,
            BackendChoice::default(),
            |name| match name {
                "auto" => Some(BackendChoice::Auto),
                "uring" => Some(BackendChoice::Uring),
                "poll" => Some(BackendChoice::Poll),
                _ => None,
            },
            "Use \"auto\", \"uring\" or \"poll\".",
        )?;
        let express = source.text(
            self.express,
            ExpressChoice::default(),
            |name| match name {
                "auto" => Some(ExpressChoice::Auto),
                "on" => Some(ExpressChoice::On),
                "off" => Some(ExpressChoice::Off),
                _ => None,
            },
            "Use \"auto\", \"on\" or \"off\".",
        )?;
        Ok(Workers { count: (count > 0).then_some(count), cores, backend, express })
    }
}

impl BuffersTable {
    fn check(self, source: Source<'_>) -> Result<Buffers, ConfigError> {
        let defaults = Buffers::default();
        let size = |value, default| {
            source.text(
                value,
                default,
                |text| parse_size(text).filter(|bytes| (65_536..=1 << 30).contains(bytes)),
                "Write a size from \"64KiB\" to \"1024MiB\".",
            )
        };
        Ok(Buffers {
            receive: size(self.receive, defaults.receive)?,
            send: size(self.send, defaults.send)?,
        })
    }
}

impl DscpTable {
    fn check(self, source: Source<'_>) -> Result<Marks, ConfigError> {
        let preset = source.text(
            self.preset,
            Marks::DEFAULT,
            |name| match name {
                "default" => Some(Marks::DEFAULT),
                "zoom" => Some(Marks::ZOOM),
                "off" => Some(Marks::OFF),
                _ => None,
            },
            "Use \"default\", \"zoom\" or \"off\", and single keys for other values.",
        )?;
        let mark = |value, preset: Dscp| {
            let number = source.number(value, 0..=63, preset.value())?;
            Ok(Dscp::new(number).unwrap_or(preset))
        };
        Ok(Marks {
            audio: mark(self.audio, preset.audio)?,
            video: mark(self.video, preset.video)?,
            content: mark(self.content, preset.content)?,
            control: mark(self.control, preset.control)?,
        })
    }
}

impl LimitsTable {
    fn check(self, source: Source<'_>) -> Result<Limits, ConfigError> {
        let defaults = Limits::default();
        let number = |value, most: u32, default| source.number(value, 1..=i64::from(most), default);
        Ok(Limits {
            links: number(self.links, limits::LINKS_MAX, defaults.links)?,
            layers: number(self.layers, limits::LAYERS_MAX, defaults.layers)?,
            routes: number(self.routes, limits::ROUTES_MAX, defaults.routes)?,
            history_packets: number(self.history_packets, 1 << 20, defaults.history_packets)?,
            participants_per_meeting: number(
                self.participants_per_meeting,
                limits::PARTICIPANTS_PER_MEETING_MAX,
                defaults.participants_per_meeting,
            )?,
            channels: number(self.channels, crate::control::CHANNELS_MAX, defaults.channels)?,
            channels_per_address: number(
                self.channels_per_address,
                crate::control::CHANNELS_MAX,
                defaults.channels_per_address,
            )?,
            connections: number(self.connections, 65_536, defaults.connections)?,
        })
    }
}
