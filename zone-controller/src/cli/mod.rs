//! The command line: what people type, and the exit codes they get.

mod args;
mod run;
mod simulate;

use crate::config::{Config, Store};
use crate::credentials::{Credentials, etcd_client};
use crate::daemon::KEYS;
use ::daemon::keys::{Fetches, Keys};
use ::daemon::{Failure, say};
use args::{Args, Command, ConfigArgs};
use std::process::ExitCode;

/// Does what the command line says.
pub fn main() -> ExitCode {
    ::daemon::main("zone-controller", |args: Args| match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args),
        Command::Simulate(args) => simulate::simulate(&args),
    })
}

fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let located =
        |error: ::daemon::credential::CredentialError| Failure::from(error.located(&args.config));
    let keys = Keys::new(Fetches::default());
    let read = keys.read(KEYS, &config.tokens.keys, &config.fetching).map_err(located)?;
    Credentials::load(&config, read.sources()).map_err(located)?;
    if let Store::Etcd(etcd) = &config.store {
        etcd_client(etcd).map_err(located)?;
    }
    if config.operators.is_none() {
        say("note: without operators.tokens nobody may see the zone's state or drain\n")?;
    }
    say(&format!("{} can be used\n", args.config.display()))
}
