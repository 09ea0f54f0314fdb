//! The command line: what people type, and the exit codes they get.

mod args;
mod ask;
mod check;
mod dev;
mod log;
mod ports;
mod run;
mod supervise;
mod token;
mod top;

use args::{Args, Command};
use clap::Parser;
use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

/// A command failed while it ran.
const FAILED: u8 = 1;
/// The command line can't be understood (sysexits.h EX_USAGE).
const USAGE: u8 = 64;
/// The configuration can't be used (sysexits.h EX_CONFIG).
const CONFIG: u8 = 78;

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
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("mmr: {message}");
            ExitCode::from(code)
        }
    }
}

/// Why a command ended otherwise than well.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn failed(message: impl ToString) -> Self {
        Self { code: FAILED, message: message.to_string() }
    }
    fn usage(message: impl ToString) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }
    fn config(message: impl ToString) -> Self {
        Self { code: CONFIG, message: message.to_string() }
    }
}

/// Writes to standard output. Who reads along may have seen enough (`mmr stats | head`).
fn say(text: &str) -> Result<(), Failure> {
    let mut out = stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "standard output can't be written: {cause}. Is there room where it goes?"
        ))),
        _ => Ok(()),
    }
}

/// A runtime for commands that ask or wait.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Failure::failed(format!("no runtime: {cause}. Allow more open files (ulimit -n)."))
    })
}
