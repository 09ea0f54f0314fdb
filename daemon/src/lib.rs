//! What every daemon of the project does alike, from its start to its exit code.
//!
//! A daemon reads its configuration ([`config`]) and the files that names ([`credential`],
//! [`identity`], [`bearer`]; [`keys`], which may be elsewhere), asks others by [`https`], writes a log
//! ([`log`]), serves HTTPS ([`server`], [`answer`]) at a [`pace`], tells [`metrics`], and systemd how it
//! is ([`systemd`]), and ends with an exit code ([`Failure`]). What a
//! wrong file is told with is the same everywhere: place, reason, remedy.
#![forbid(unsafe_code)]

pub mod answer;
pub mod bearer;
mod clock;
pub mod config;
pub mod credential;
pub mod digest;
mod exit;
mod foreground;
pub mod https;
pub mod identity;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod pace;
mod reload;
pub mod server;
pub mod systemd;

pub use clock::unix_now_s;
pub use exit::{Failure, main, say};
pub use foreground::{Asked, Signals, hear, runtime, runtime_of_threads};
pub use reload::Reload;
