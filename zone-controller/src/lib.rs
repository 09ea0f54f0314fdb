//! The zone controller: tracks the load of a zone's MMRs and tells clients which one to join.
//!
//! [`placement`] decides, purely; [`store`] is what the zone's controllers agree on; [`controller`]
//! puts the two together, and [`server`] lets them be asked over HTTPS. [`Daemon`] runs it all.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod controller;
pub mod credentials;
mod daemon;
pub mod limits;
mod metrics;
pub mod placement;
pub mod server;
pub mod simulate;
pub mod store;

use ::daemon::digest;
pub use daemon::{Daemon, Error};
