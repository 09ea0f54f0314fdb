//! The multimedia router daemon: sockets, rings and threads around the sans-IO core in `router`.
//!
//! Threads: pinned workers (data plane), one control thread, stream threads (TCP and TLS doors). Between them only
//! the bounded queues of [`exchange`].

mod about;
mod addresses;
mod admin;
mod capabilities;
pub mod cli;
pub mod config;
mod control;
pub mod credentials;
mod daemon;
pub mod dev;
pub mod door;
mod error;
pub mod exchange;
pub mod express;
mod files;
mod key_thread;
mod metrics;
pub mod network;
pub mod packet;
mod peer;
pub mod report;
mod startup;
mod stats;
pub mod tls;
pub mod worker;

pub use config::Config;
pub use daemon::Daemon;
pub use error::Error;
