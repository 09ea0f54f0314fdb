//! How a program begins and ends: its command line, an exit code, and one line that says why.

use crate::config::ConfigError;
use clap::Parser;
use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

/// A command failed while it ran.
const FAILED: u8 = 1;
/// The command line can't be understood (sysexits.h EX_USAGE).
const USAGE: u8 = 64;
/// The configuration can't be used (sysexits.h EX_CONFIG).
const CONFIG: u8 = 78;

/// Why a command ended otherwise than well.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    /// For people.
    pub message: String,
}

impl Failure {
    /// It failed while it ran.
    pub fn failed(message: impl ToString) -> Self {
        Self { code: FAILED, message: message.to_string() }
    }

    /// The command line asks for what can't be.
    pub fn usage(message: impl ToString) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }

    /// The configuration can't be used.
    pub fn config(message: impl ToString) -> Self {
        Self { code: CONFIG, message: message.to_string() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error)
    }
}

/// Reads the command line, runs what it asks for, and gives the exit code; what failed is told on
/// standard error.
pub fn main<Args: Parser>(
    program: &str,
    run: impl FnOnce(Args) -> Result<(), Failure>,
) -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nowhere to tell when the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("{program}: {message}");
            ExitCode::from(code)
        }
    }
}

/// Writes to standard output. Who reads along may have seen enough (`mmr stats | head`).
///
/// # Errors
/// When it can't be written for another reason.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "standard output can't be written: {cause}. Is there room where it goes?"
        ))),
        _ => Ok(()),
    }
}
