//! The agent on every MMR's host: samples load and reports it to the zone's controllers.
//!
//! ```text
//!   /proc, /sys ──▶ host ───┐ samples        ┌─▶ link to controller ──▶
//!                           ├───▶ core ─report──▶ link to controller ──▶  HTTPS
//!   admin socket ─▶ mmr ────┘                └─▶ …
//!        ▲──── drain, undrain ◀── orders ◀──────── replies
//! ```
//!
//! [`core`] is pure: samples and the time go in, reports come out. One thread; nothing the daemon
//! does waits for it, and it waits for no controller.
#![forbid(unsafe_code)]

mod agent;
pub mod cli;
pub mod config;
mod controllers;
pub mod core;
mod host;
mod limits;
mod mmr;
mod orders;
pub mod proc;

pub use agent::Agent;
pub use config::Config;
