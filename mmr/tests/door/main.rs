//! The doors, over real sockets and real TLS, on io_uring and on plain tokio alike.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(unreachable_pub, missing_docs, reason = "shared within a test, which nobody depends on")]

mod conversation;
mod greeting;
mod hostile;
mod marking;
mod orders;
mod rig;
mod slow_reader;
mod starting;
