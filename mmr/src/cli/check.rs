//! `mmr check`: what is wrong with a configuration and the files it names.

use super::args::ConfigArgs;
use super::{Failure, say};
use crate::Config;
use crate::config::ConfigError;
use crate::credentials::{CredentialError, Credentials};
use std::path::Path;

pub(super) fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    Credentials::load(&config).map_err(|error| located(&args.config, &error))?;
    say(&format!("{} can be used\n", args.config.display()))
}

pub(super) fn load(file: &Path) -> Result<Config, Failure> {
    Config::load(file).map_err(Failure::config)
}

/// A file's fault, at the line that names it.
pub(super) fn located(file: &Path, error: &CredentialError) -> Failure {
    let CredentialError { key, reason, remedy } = error;
    let text = std::fs::read_to_string(file).unwrap_or_default();
    Failure::config(ConfigError {
        file: file.to_owned(),
        line: crate::config::line_of(&text, key),
        key: Some((*key).to_owned()),
        reason: reason.clone(),
        remedy: remedy.clone(),
    })
}
