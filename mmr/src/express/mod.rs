//! The express plane: native UDP media replicated in the kernel, below the sockets, in whole trains.
//!
//! [`program`] is what runs in the kernel and its tables.

pub mod layout;
pub mod limits;
pub mod program;

pub use layout::{Destination, Label, Layer};
pub use program::{Outcome, Program, Sizes, Tally};

/// Why the express plane can't be used, for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressError {
    /// The kernel refused something.
    #[error("the kernel refuses: {0}")]
    Refused(String),
}

impl ExpressError {
    /// With every cause behind the error: the last one is the kernel's word.
    fn refused(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(behind) = source {
            text = format!("{text}: {behind}");
            source = behind.source();
        }
        Self::Refused(text)
    }
}
