//! The HTTP tunnel: the way into a zone for clients whose network lets nothing out but TLS 443.
//!
//! A client says `CONNECT host:port` with its join token. Where that may lead is the operator's list
//! ([`config::Zone`]) and nothing else: [`target`] reads what was asked, [`zones`] looks it up,
//! [`names`] finds its address, [`relay`] carries the bytes, [`accounts`] counts them. A join token is
//! used up at the zone's controller, not here: the tunnel checks who signed it, for which zone, and
//! until when. [`Daemon`] runs it all.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod cli;
pub mod config;
mod daemon;
pub mod limits;
mod metrics;
pub mod names;
pub mod relay;
mod site;
pub mod target;
pub mod zones;

pub use daemon::{Daemon, Error};
