//! The command line: what people type, and the exit codes they get.

mod args;
mod run;

use crate::agent::Agent;
use crate::config::Config;
use crate::controllers::Client;
use args::{Args, Command};
use daemon::{Failure, runtime, say};
use std::path::Path;
use std::process::ExitCode;

/// Does what the command line says.
pub fn main() -> ExitCode {
    daemon::main("zc-agent", |args: Args| match args.command {
        Command::Run(args) => run::run(&args.config),
        Command::Check(args) => check(&args.config),
        Command::Once(args) => once(&args.config),
    })
}

fn check(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    Client::load(&config.controllers).map_err(|error| error.located(file))?;
    say(&format!("{} can be used\n", file.display()))
}

fn once(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    daemon::log::start(&config.log);
    let report = runtime()?.block_on(Agent::once(&config));
    let report = report.ok_or_else(|| Failure::failed("the daemon is no longer watched"))?;
    let text = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
    say(&format!("{text}\n"))
}
