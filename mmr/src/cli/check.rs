//! `mmr check`: what is wrong with a configuration and the files it names.

use super::args::ConfigArgs;
use super::{Failure, say};
use crate::Config;
use crate::credentials::Credentials;
use daemon::keys::{Fetches, Keys};
use std::path::Path;

pub(super) fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let keys = Keys::new(Fetches::default());
    Credentials::load(&config, &keys)
        .map_err(|error| Failure::config(error.located(&args.config)))?;
    say(&format!("{} can be used\n", args.config.display()))
}

pub(super) fn load(file: &Path) -> Result<Config, Failure> {
    Config::load(file).map_err(Failure::config)
}
