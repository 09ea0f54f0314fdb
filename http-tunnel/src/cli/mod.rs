//! The command line: what people type, and the exit codes they get.

mod args;
mod run;

use crate::config::Config;
use crate::site::Rules;
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
    Rules::load(&config).map_err(|error| Failure::from(error.located(&args.config)))?;
    if config.operators.is_none() {
        say("note: without operators.tokens nobody may see the metrics\n")?;
    }
    say(&format!("{} can be used\n", args.config.display()))
}
