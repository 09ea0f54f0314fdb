//! The command line: what people type, and the exit codes they get.

mod args;
mod run;

use crate::config::Config;
use crate::daemon::{KEYS, sources};
use crate::site::Rules;
use ::daemon::credential::CredentialError;
use ::daemon::keys::{Fetches, Keys};
use ::daemon::{Failure, say};
use args::{Args, Command, ConfigArgs};
use std::process::ExitCode;

/// Does what the command line says.
pub fn main() -> ExitCode {
    ::daemon::main("http-tunnel", |args: Args| match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args),
    })
}

fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let located = |error: CredentialError| Failure::from(error.located(&args.config));
    let keys = Keys::new(Fetches::default());
    let read = keys.read(KEYS, sources(&config), &config.fetching).map_err(located)?;
    Rules::load(&config, read.sources()).map_err(located)?;
    if config.operators.is_none() {
        say("note: without operators.tokens nobody may see the metrics\n")?;
    }
    say(&format!("{} can be used\n", args.config.display()))
}
