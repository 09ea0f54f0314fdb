//! The formats every part of the system speaks: bytes in, values out.
//!
//! Nothing here opens a socket, reads a clock or starts a thread. Parsers borrow from the bytes
//! they are given and answer [`Malformed`] for anything that is not well formed; they never panic
//! on any input.
#![forbid(unsafe_code)]

pub mod control;
pub mod demux;
#[cfg(test)]
mod document;
pub mod framing;
pub mod ids;
pub mod limits;
pub mod load;
pub mod lookup;
pub mod mark;
mod refusal;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod stats;
pub mod stun;
pub mod token;
pub mod tunnel;
pub mod zone;

pub use ids::{Bitrate, Kind, MmrId, Seq, Ssrc, StreamId, Transport};
pub use refusal::Refusal;

/// Bytes that do not follow their format. Carries no detail on purpose: it becomes a counted drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed")]
pub struct Malformed;
