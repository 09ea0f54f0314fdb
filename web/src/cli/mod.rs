//! The command line: what people type, and the exit codes they get.

mod args;
mod run;

use crate::config::Config;
use crate::credentials::{Credentials, store_url};
use crate::zones::Zones;
use ::daemon::credential::CredentialError;
use ::daemon::{Failure, say};
use args::{Args, Command, ConfigArgs};
use std::process::ExitCode;

/// Does what the command line says.
pub fn main() -> ExitCode {
    ::daemon::main("mmr-web", |args: Args| match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args),
    })
}

fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let located = |error: CredentialError| Failure::from(error.located(&args.config));
    let zones = Zones::new(&config).map_err(located)?;
    Credentials::load(&config, &zones).map_err(located)?;
    store_url(&config.store).map_err(located)?;
    if config.operators.is_none() {
        say("note: without operators.tokens nobody may create, list or end meetings\n")?;
    }
    if config.geo_database.is_none() {
        say("note: without geo.database zones are told in the order of this file\n")?;
    }
    say(&format!("{} can be used\n", args.config.display()))
}
