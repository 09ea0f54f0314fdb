//! The daemon and its tools: `mmr --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mmr::cli::main()
}
