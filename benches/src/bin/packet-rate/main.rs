//! `packet-rate`: what a router costs per datagram, against the best anyone could do with plain sockets.
//!
//! ```text
//!   shape ─▶ run ─▶ scene: a contender (child), everybody in it (gathering, member), load, sink
//!              │      on a rig: two networks, a wire, a counter
//!              └──▶ measure: one stretch of load ─▶ results ─▶ table, JSON, HTML
//! ```

mod allocations;
mod child;
mod cli;
mod document;
mod error;
mod floor;
mod gathering;
mod interrupt;
mod load;
mod measure;
mod member;
mod meter;
mod page;
mod results;
mod rig;
mod run;
mod scene;
mod shape;
mod sink;
mod stamp;
mod strangers;
mod table;
mod targets;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packet-rate: {error}");
            ExitCode::FAILURE
        }
    }
}
