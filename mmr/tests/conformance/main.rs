//! One suite for every [`mmr::network::Network`]: what the worker relies on holds for io_uring, for
//! epoll and for the simulated network alike. The first two run with real sockets over loopback.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bed;
mod full;
mod receiving;
mod sending;
mod waiting;
