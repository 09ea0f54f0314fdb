//! The multimedia router daemon: sockets, rings and threads around the sans-IO core in `router`.
//!
//! Threads: pinned workers (data plane), one control thread, stream threads (TCP and TLS doors). Between them only
//! the bounded queues of [`exchange`].

pub mod exchange;
pub mod network;
pub mod report;
pub mod worker;
