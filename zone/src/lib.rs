//! A whole zone in one process: a controller, MMRs, and the agents that tell the one about the others.
//!
//! For trying it out (`zone demo`) and for the tests. Keys and certificates are made for the occasion and lie in
//! temporary folders.
#![forbid(unsafe_code)]

mod zone;

pub use zone::{Member, Ports, Zone};
