//! What can be typed, with the help that teaches it.

use crate::config::FILE;
use ::daemon::config::parse_duration;
use clap::{Args as Arguments, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// The controller of a zone: tracks the load of its MMRs and tells clients which one to join.
#[derive(Parser)]
#[command(name = "zone-controller", version, about, after_help = HELP, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const HELP: &str = "\
Run it for real:
  zone-controller check --config /etc/zone-controller/zone-controller.toml
  zone-controller run --config /etc/zone-controller/zone-controller.toml

Compare strategies of placement:
  zone-controller simulate --html placement.html

Look and drain (docs/zone.md has more; TOKEN is a line of operators.tokens):
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
    /// Play a burst of joins with dying hosts, and compare strategies of placement
    Simulate(SimulateArgs),
}

const RUN_HELP: &str = "\
Examples:
  zone-controller run --config /etc/zone-controller/zone-controller.toml
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

const SIMULATE_HELP: &str = "\
Examples:
  zone-controller simulate
  zone-controller simulate --mmrs 50 --joins 20000 --fill-percent 90 --html /tmp/placement.html

The placement is the server's own; reports come once a second, smoothed, as agents send them. Everything random comes
from the seed. spread: standard deviation of the load over its mean, in the end; peak: the fullest an MMR ever was;
overloaded: the most MMRs above 1 at once.";

#[derive(Arguments)]
#[command(after_help = SIMULATE_HELP)]
pub(super) struct SimulateArgs {
    /// How many MMRs; every second one is a host half as large
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub(super) mmrs: u16,
    /// How many people join
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) joins: u32,
    /// For how long they come
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = burst)]
    pub(super) burst: Duration,
    /// People of a meeting, on average
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) meeting: u16,
    /// How full the MMRs are when everybody is in
    #[arg(long, value_name = "PERCENT", default_value_t = 60, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub(super) fill_percent: u8,
    /// How many MMRs die on the way
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(super) deaths: u16,
    /// Of everything random
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
    /// Write plots to this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

fn burst(text: &str) -> Result<Duration, String> {
    let seconds = Duration::from_secs(1)..=Duration::from_secs(600);
    let burst = parse_duration(text).filter(|burst| seconds.contains(burst));
    burst.ok_or_else(|| "use a whole number and its unit, from 1s to 10m".to_owned())
}
