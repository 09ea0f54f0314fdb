//! The native client: media files into a meeting and out of it, over whatever transport the network lets through.
#![forbid(unsafe_code)]

pub mod media;
pub mod payload;
