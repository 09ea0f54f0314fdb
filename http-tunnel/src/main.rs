//! The HTTP tunnel: `http-tunnel --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    http_tunnel::cli::main()
}
