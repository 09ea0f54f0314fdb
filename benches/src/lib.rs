//! The micro-benches: what each step of a packet's way costs, without a kernel in it. Listed once, in [`micro`], and
//! run by two programs:
//!
//! ```text
//! cargo bench -p benches                     # time, by criterion; reports in target/criterion/report/index.html
//! cargo bench -p benches -- fan-out/audio    # what matches
//! benches/compare main HEAD                  # instructions, by callgrind: the same on a busy machine
//! ```
#![forbid(unsafe_code)]

pub mod micro;
mod scene;
mod train;
