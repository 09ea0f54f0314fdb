//! The log: lines on standard error. Names of participants, tokens and keys never stand in it.

use crate::config::{Log, LogFormat};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// From here on what is logged is written.
pub(super) fn start(log: &Log) {
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
