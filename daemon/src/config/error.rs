//! What is wrong with a configuration, and where: file, line, key, reason, remedy.

use std::fmt;
use std::path::PathBuf;

/// The first thing that is wrong with a configuration. One line when shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration file.
    pub file: PathBuf,
    /// From 1; `None` when the file as a whole is meant.
    pub line: Option<usize>,
    /// The key with its table, such as `dscp.audio`.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}. {}", self.reason.trim_end_matches('.'), self.remedy)
    }
}

impl std::error::Error for ConfigError {}
