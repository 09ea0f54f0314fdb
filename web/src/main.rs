//! The web infrastructure: `mmr-web --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    web::cli::main()
}
