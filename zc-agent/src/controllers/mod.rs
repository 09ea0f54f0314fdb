//! Reports to the zone's controllers: each has a task of its own, and none waits for another.

mod backoff;
mod client;
mod sender;

pub(crate) use client::Client;
pub(crate) use sender::{Outgoing, Sender};
