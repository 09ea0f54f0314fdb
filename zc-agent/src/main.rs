//! The agent: `zc-agent --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    zc_agent::cli::main()
}
