//! The web infrastructure: where a meeting begins, and where a participant's way into it does.
//!
//! Operators create, list and end meetings. Who has a meeting's number and passcode looks it up and is
//! told the zones it can be joined in, with a join token for each; who has chosen one settles, so that
//! a meeting is in one zone. [`store`] keeps the meetings, [`passcodes`] checks, [`guesses`] slows down
//! who guesses, [`zones`] knows which zones answer, [`places`] how far they are, [`lookup`] puts it
//! together. [`Daemon`] runs it all.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
mod credentials;
mod daemon;
pub mod guesses;
pub mod limits;
pub mod lookup;
mod metrics;
pub mod passcodes;
pub mod places;
mod settle;
mod site;
pub mod store;
pub mod zones;

pub use daemon::{Daemon, Error};
