//! The zone controller and its tools: `zone-controller --help`.

use std::process::ExitCode;

/// Thousands of requests a second are thousands of small allocations: with the C library's allocator
/// they were an eighth of the controller's core.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    zone_controller::cli::main()
}
