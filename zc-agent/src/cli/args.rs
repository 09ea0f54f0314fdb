//! What can be typed, with the help that teaches it.

use crate::config::FILE;
use clap::{Args as Arguments, Parser, Subcommand};
use std::path::PathBuf;

/// The agent beside each mmr: tells the zone's controllers its load, and carries out their drains.
#[derive(Parser)]
#[command(name = "zc-agent", version, about, after_help = HELP, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const HELP: &str = "\
Set it up:
  zc-agent check --config zc-agent.toml     says what is wrong, before a restart finds out
  zc-agent once --config zc-agent.toml      what controllers would be told: load, stress, state
  zc-agent run --config zc-agent.toml

What a report says stands in docs/load-report.md.

Exit codes:
  0   done
  1   a command failed while it ran; the last line on standard error says why and what to do
  64  the command line can't be understood
  78  the configuration can't be used";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the agent in the foreground
    Run(RunArgs),
    /// Check a configuration and the files it names, without running anything
    Check(ConfigArgs),
    /// Look at router and host for some seconds, print one report as JSON, tell nobody
    Once(ConfigArgs),
}

const RUN_HELP: &str = "\
It needs neither the router nor a controller to be there: what is missing is reported, or tried again.

Signals:
  SIGTERM, SIGINT  end; the router goes on
  SIGHUP           read certificates, keys and tokens for the controllers again

Exit codes: 0 ended as asked, 1 failed while running, 64 wrong usage, 78 wrong configuration";

#[derive(Arguments)]
#[command(after_help = RUN_HELP)]
pub(super) struct RunArgs {
    /// The configuration; zc-agent.toml of the source tree is a commented one to start from
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) config: PathBuf,
}

#[derive(Arguments)]
pub(super) struct ConfigArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) config: PathBuf,
}
