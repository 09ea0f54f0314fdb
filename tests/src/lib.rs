//! What tests across parts share: networks of their own to run in, and packet captures.
//!
//! A [`Host`] is a Linux network namespace. Network namespaces belong to threads, and threads inherit them, so a
//! whole daemon can be started in one from within the test's process. Nothing has a name and nothing is left
//! behind: a namespace goes when the last thread and file descriptor in it go, and its interfaces with it.
#![forbid(unsafe_code)]
// Everything here is for tests: a failed set-up step is a failed test.
#![allow(clippy::unwrap_used)]

pub mod authority;
mod capture;
pub mod held;
mod host;
mod lan;
pub mod meeting;
pub mod pair;
pub mod process;
pub mod raw;
pub mod scene;
pub mod service;
pub mod venue;

pub use capture::{Capture, Fields};
pub use host::{Host, Wire, is_root};
pub use lan::Lan;

use std::path::PathBuf;

/// A clip of tests/media.
pub fn media(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("media").join(name)
}

/// A binary of this workspace, built by `cargo build --workspace --bins` beside the tests themselves.
///
/// # Panics
/// When it has not been built.
pub fn binary(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace --bins` first",
        path.display()
    );
    path
}
