//! Whole zones in one process, for trying them out.
#![forbid(unsafe_code)]

mod demo;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A whole zone in one process, for trying it out.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 all is well, 1 something went wrong, 2 usage, 130 interrupted."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends two recorded meetings through real zones to eight subscribers and checks every frame.
    ///
    /// Starts web infrastructure, two zones of a controller and two MMRs with their agents, and an HTTP tunnel, all on
    /// loopback; and for each of two meetings a publisher with audio, video and content, and four subscribers. All have nothing but
    /// the meeting's link: they look it up, choose a zone, are told an MMR, and connect over UDP, TCP or TLS, IPv4 or IPv6; one
    /// from behind an HTTP proxy, and one whose proxy leads to the web infrastructure and the tunnel alone. Takes about
    /// fifteen seconds, needs no root and no configuration; takes free ports when 8801 or 443 can't be had, and says so. Exits
    /// with 0 only if everything arrived.
    Demo(demo::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Demo(options) = Arguments::parse().command;
    match demo::run(&options).await {
        Ok(verdict) => verdict.exit_code(),
        Err(error) => {
            eprintln!("zone demo: {error}");
            ExitCode::FAILURE
        }
    }
}
