//! The express plane in networks of its own: the program in the kernel alone, and whole daemons that use it.
#![allow(clippy::unwrap_used, missing_docs)]

mod capabilities;
mod complete;
mod counts;
mod crowd;
mod daemon;
mod frame;
mod hostile;
mod object;
mod program;
mod rig;
mod simulation;
mod wire_check;
