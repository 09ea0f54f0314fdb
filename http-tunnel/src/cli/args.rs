//! What can be typed, with the help that teaches it.

use crate::config::FILE;
use clap::{Args as Arguments, Parser, Subcommand};
use std::path::PathBuf;

/// The last way into a zone: HTTP CONNECT over TLS 443, to the zone's controllers and MMRs alone.
#[derive(Parser)]
#[command(name = "http-tunnel", version, about, after_help = HELP, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const HELP: &str = "\
Run it for real:
  http-tunnel check --config /etc/http-tunnel/http-tunnel.toml
  http-tunnel run --config /etc/http-tunnel/http-tunnel.toml

Try it (TOKEN is a join token of the zone, whose controller zc.example.org is in the list):
  curl https://tunnel.example.org/ping
  curl --proxy https://tunnel.example.org --proxy-header \"Proxy-Authorization: Bearer $TOKEN\" https://zc.example.org/v1/ping

Exit codes:
  0   done
  1   a command failed while it ran; the last line on standard error says why and what to do
  64  the command line can't be understood
  78  the configuration can't be used";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the tunnel in the foreground
    Run(ConfigArgs),
    /// Check a configuration and the files it names, without running anything
    Check(ConfigArgs),
}

const RUN_HELP: &str = "\
Examples:
  http-tunnel run --config /etc/http-tunnel/http-tunnel.toml
  http-tunnel check --config http-tunnel.toml && sudo systemctl reload http-tunnel

Signals:
  SIGTERM, SIGINT  take no more connections, let open tunnels go on until drain.deadline, end; a second one ends at once
  SIGHUP           read certificates, zones with their keys, and operators' tokens again; open tunnels stay open

Exit codes: 0 ended as asked, 1 failed while running, 64 wrong usage, 78 wrong configuration";

#[derive(Arguments)]
#[command(after_help = RUN_HELP)]
pub(super) struct ConfigArgs {
    /// The configuration; http-tunnel.toml of the source tree is a commented one to start from
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) config: PathBuf,
}
