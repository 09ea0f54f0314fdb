//! The daemon as a process of its own, while real media flows through it.
#![allow(clippy::unwrap_used, missing_docs)]

mod reload;
mod stall;
mod top;
