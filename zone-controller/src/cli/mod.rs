//! The command line: what people type, and the exit codes they get.

mod args;
mod run;
mod simulate;

use crate::config::{Config, Store};
use crate::credentials::{Credentials, etcd_client};
use ::daemon::{Failure, USAGE, say};
use args::{Args, Command, ConfigArgs};
use clap::Parser;
use std::process::ExitCode;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nowhere to tell when the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let done = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args),
        Command::Simulate(args) => simulate::simulate(&args),
    };
    ::daemon::main("zone-controller", done)
}

fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let located =
        |error: ::daemon::credential::CredentialError| Failure::from(error.located(&args.config));
    Credentials::load(&config).map_err(located)?;
    if let Store::Etcd(etcd) = &config.store {
        etcd_client(etcd).map_err(located)?;
    }
    if config.operators.is_none() {
        say("note: without operators.tokens nobody may see the zone's state or drain\n")?;
    }
    say(&format!("{} can be used\n", args.config.display()))
}
