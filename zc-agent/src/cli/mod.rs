//! The command line: what people type, and the exit codes they get.

mod args;
mod run;

use crate::agent::Agent;
use crate::config::Config;
use crate::controllers::Client;
use args::{Args, Command};
use clap::Parser;
use daemon::{Failure, USAGE, say};
use std::path::Path;
use std::process::ExitCode;
use tokio::runtime::Runtime;

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
        Command::Run(args) => run::run(&args.config),
        Command::Check(args) => check(&args.config),
        Command::Once(args) => once(&args.config),
    };
    daemon::main("zc-agent", done)
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

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Failure::failed(format!("no runtime: {cause}. Allow more open files (ulimit -n)."))
    })
}
