//! `mmr-client`: the native client's command line. The library does the work; here are arguments and words.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
