//! The way in, from a meeting's link to media: web infrastructure, zones, tunnels and proxies as processes, on hosts of
//! their own.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod command;
mod forwarder;
mod hostile;
mod matrix;
mod moving;
mod process;
mod proxies;
mod seat;
mod site;

use std::time::Duration;

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(30);
