//! The command line: what people type, and the exit codes they get.

mod args;
mod ask;
mod check;
mod dev;
mod ports;
mod run;
mod supervise;
mod token;
mod top;

use args::{Args, Command};
use clap::Parser;
use daemon::{Failure, USAGE, say};
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
        Command::Check(args) => check::check(&args),
        Command::Dev(args) => dev::dev(&args),
        Command::Token(args) => token::token(&args),
        Command::Stats(args) => ask::stats(&args),
        Command::Top(args) => top::top(&args),
        Command::Drain(args) => ask::drain(&args),
        Command::Undrain(args) => ask::undrain(&args),
    };
    daemon::main("mmr", done)
}

/// A runtime for commands that ask or wait.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Failure::failed(format!("no runtime: {cause}. Allow more open files (ulimit -n)."))
    })
}
