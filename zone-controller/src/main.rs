//! The zone controller and its tools: `zone-controller --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    zone_controller::cli::main()
}
