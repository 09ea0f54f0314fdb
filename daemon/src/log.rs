//! The log: lines on standard error. Names of participants, tokens and keys never stand in it.

use crate::config::{ConfigError, Source, Text};
use serde::Deserialize;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// The log, on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, as tracing's `EnvFilter` reads it.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people and the journal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// The table `[log]` as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogTable {
    format: Text,
    filter: Text,
}

impl LogTable {
    /// # Errors
    /// The first value that can't be used.
    pub fn check(self, source: Source<'_>) -> Result<Log, ConfigError> {
        let defaults = Log::default();
        let format = |name: &str| match name {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        Ok(Log {
            format: source.text(
                self.format,
                defaults.format,
                format,
                "Use \"text\" or \"json\".",
            )?,
            filter: source.text(
                self.filter,
                defaults.filter,
                |filter| filter.parse::<EnvFilter>().ok().map(|_| filter.to_owned()),
                "Use \"error\", \"warn\", \"info\", \"debug\", or directives like \"info,mmr::control=debug\".",
            )?,
        })
    }
}

/// From here on what is logged is written.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    // The journal adds the time itself.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    match log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text if in_journal => lines.without_time().init(),
        LogFormat::Text => lines.init(),
    }
}
