//! Why the daemon could not start or go on. Every message names the cause and the remedy.

use crate::config::ConfigError;
use crate::credentials::CredentialError;
use crate::door::DoorError;
use crate::express::ExpressError;
use std::io;

/// Why the daemon could not start or go on.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration, or a file it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address or port can't be had.
    #[error("{what} can't be listened on: {cause}. {remedy}")]
    Listen {
        /// `UDP 0.0.0.0:8801`.
        what: String,
        /// The system's word.
        cause: io::Error,
        /// What to do about it.
        remedy: String,
    },
    /// A file the configuration names.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The stream thread.
    #[error(transparent)]
    Door(DoorError),
    /// The express plane, when it is asked for.
    #[error(
        "the express plane can't be used, and workers.express asks for it: {0}. Or set it to \"auto\""
    )]
    Express(#[from] ExpressError),
    /// The system refused something else.
    #[error("{doing}: {cause}. {remedy}")]
    System {
        /// What was tried.
        doing: String,
        /// The system's word.
        cause: io::Error,
        /// What to do about it.
        remedy: String,
    },
    /// The daemon has ended, or its control thread has.
    #[error("the daemon has ended. Start it again; its log says why it ended")]
    Ended,
}

impl Error {
    pub(crate) fn system(doing: impl Into<String>, cause: io::Error, remedy: &str) -> Self {
        Self::System { doing: doing.into(), cause, remedy: remedy.to_owned() }
    }
}
