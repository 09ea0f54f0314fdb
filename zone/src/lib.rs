//! Whole zones in one process, each with a controller, MMRs, and the agents that tell the one about the others; and what leads
//! into them: web infrastructure and an HTTP tunnel.
//!
//! For trying it out (`zone demo`) and for the tests. Keys and certificates are made for the occasion and lie in
//! temporary folders.
#![forbid(unsafe_code)]

mod entrance;
mod plan;
mod zone;

pub use entrance::{Tunnel, Web};
pub use plan::{Plan, TokenKeys};
pub use zone::{Member, Ports, Zone};
