//! What can be typed, with the help that teaches it.

use crate::config::FILE;
use clap::{Args as Arguments, Parser, Subcommand};
use std::path::PathBuf;

/// The web infrastructure: keeps meetings, and tells who has a passcode how to get in.
#[derive(Parser)]
#[command(name = "mmr-web", version, about, after_help = HELP, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const HELP: &str = "\
Run it for real:
  mmr-web check --config /etc/mmr-web/mmr-web.toml
  mmr-web run --config /etc/mmr-web/mmr-web.toml

Create a meeting and look it up (TOKEN is a line of operators.tokens; https://meet.example.org/ does it in a browser):
  curl -H \"Authorization: Bearer $TOKEN\" --json '{\"title\": \"Standup\"}' https://meet.example.org/v1/meetings
  curl --json '{\"meeting\": \"01234567890\", \"passcode\": \"…\"}' https://meet.example.org/v1/lookup

Exit codes:
  0   done
  1   a command failed while it ran; the last line on standard error says why and what to do
  64  the command line can't be understood
  78  the configuration can't be used";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the web infrastructure in the foreground
    Run(ConfigArgs),
    /// Check a configuration and the files it names, without running anything
    Check(ConfigArgs),
}

const RUN_HELP: &str = "\
Examples:
  mmr-web run --config /etc/mmr-web/mmr-web.toml
  mmr-web check --config mmr-web.toml && sudo systemctl reload mmr-web

Signals:
  SIGTERM, SIGINT  take no more connections, answer what was asked, end
  SIGHUP           read certificates, signing keys, operators' tokens and the GeoIP database again

Exit codes: 0 ended as asked, 1 failed while running, 64 wrong usage, 78 wrong configuration";

#[derive(Arguments)]
#[command(after_help = RUN_HELP)]
pub(super) struct ConfigArgs {
    /// The configuration; mmr-web.toml of the source tree is a commented one to start from
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) config: PathBuf,
}
