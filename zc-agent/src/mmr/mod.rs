//! The MMR's daemon, over its admin socket.

mod probe;
mod socket;

pub(crate) use probe::{Sight, watch};
pub(crate) use socket::{AdminSocket, AskError};
