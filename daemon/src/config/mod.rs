//! Configuration files: what people write in them, and what is said when it can't be used.

mod error;
mod listen;
mod size;
mod source;

pub use error::ConfigError;
pub use listen::{Listen, ListenTable, TlsFiles, TlsTable};
pub use size::{parse_duration, parse_size};
pub use source::{List, Number, OneOrMany, Source, Text, Texts, line_of};

use std::path::Path;

/// The text of a configuration file; `example` is the commented one of the source tree.
///
/// # Errors
/// When it can't be read.
pub fn read(file: &Path, example: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|cause| ConfigError {
        file: file.to_owned(),
        line: None,
        key: None,
        reason: format!("the file can't be read: {cause}"),
        remedy: format!(
            "Give the path of a readable file with --config; {example} of the source tree is a commented one to \
             start from."
        ),
    })
}
