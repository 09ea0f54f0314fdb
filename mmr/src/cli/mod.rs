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
use daemon::{Failure, runtime, say};
use std::process::ExitCode;

/// Does what the command line says.
pub fn main() -> ExitCode {
    daemon::main("mmr", |args: Args| match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Dev(args) => dev::dev(&args),
        Command::Token(args) => token::token(&args),
        Command::Stats(args) => ask::stats(&args),
        Command::Top(args) => top::top(&args),
        Command::Drain(args) => ask::drain(&args),
        Command::Undrain(args) => ask::undrain(&args),
    })
}
