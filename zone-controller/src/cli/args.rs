//! What can be typed, with the help that teaches it.

use crate::config::FILE;
use clap::{Args as Arguments, Parser, Subcommand};
use std::path::PathBuf;

/// The controller of a zone: tracks the load of its MMRs and tells clients which one to join.
#[derive(Parser)]
#[command(name = "zone-controller", version, about, after_help = HELP, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const HELP: &str = "\
Run it for real:
  zone-controller check --config /etc/mmr/zone-controller.toml
  zone-controller run --config /etc/mmr/zone-controller.toml

Look and drain (docs/operations.md has more; TOKEN is a line of operators.tokens):
  curl -H \"Authorization: Bearer $TOKEN\" https://zc.example.org/v1/zone
  curl -H \"Authorization: Bearer $TOKEN\" --json '{\"deadline_s\": 600}' https://zc.example.org/v1/mmrs/mmr-1/drain

Exit codes:
  0   done
  1   a command failed while it ran; the last line on standard error says why and what to do
  64  the command line can't be understood
  78  the configuration can't be used";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the controller in the foreground
    Run(ConfigArgs),
    /// Check a configuration and the files it names, without running anything
    Check(ConfigArgs),
}

const RUN_HELP: &str = "\
Examples:
  zone-controller run --config /etc/mmr/zone-controller.toml
  zone-controller check --config zone-controller.toml && sudo systemctl reload zone-controller

Signals:
  SIGTERM, SIGINT  take no more connections, answer what was asked, end; clients and agents go to another controller
  SIGHUP           read certificates, keys and tokens again

Exit codes: 0 ended as asked, 1 failed while running, 64 wrong usage, 78 wrong configuration";

#[derive(Arguments)]
#[command(after_help = RUN_HELP)]
pub(super) struct ConfigArgs {
    /// The configuration; zone-controller.toml of the source tree is a commented one to start from
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) config: PathBuf,
}
