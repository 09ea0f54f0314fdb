//! What each URL told last, in a file of its own: for a start without it.
//!
//! A file's time says when the keys were fetched. A cache that can't be used costs nothing but that.

use super::fetch::DOCUMENT_LEN_MAX;
use super::{Document, Fetches};
use crate::digest::digest;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What is kept of this URL, if it can be used.
pub(super) fn load(folder: &Path, url: &str, fetches: &Fetches) -> Option<Document> {
    let file = file(folder, url);
    match read(&file) {
        Ok((text, fetched_s)) => match Document::parse(text) {
            Ok(document) => {
                fetches.known_since(url, fetched_s);
                Some(document)
            }
            Err(why) => {
                tracing::warn!(file = %file.display(), %why, "kept public keys can't be used");
                None
            }
        },
        Err(why) => {
            if why.kind() != io::ErrorKind::NotFound {
                tracing::warn!(file = %file.display(), %why, "kept public keys can't be read");
            }
            None
        }
    }
}

/// Keeps what this URL told.
pub(super) fn store(folder: &Path, url: &str, document: &Document) {
    let file = file(folder, url);
    if let Err(why) = write(folder, &file, &document.text) {
        // As often as keys are fetched: some minutes.
        tracing::warn!(
            file = %file.display(), %why,
            "public keys can't be kept for a start without their URL: see keys.cache"
        );
    }
}

fn read(file: &Path) -> io::Result<(String, u64)> {
    let open = File::open(file)?;
    let fetched = open.metadata()?.modified()?;
    let mut text = String::new();
    open.take(DOCUMENT_LEN_MAX as u64 + 1).read_to_string(&mut text)?;
    if text.len() > DOCUMENT_LEN_MAX {
        return Err(io::Error::other("it is longer than what is fetched"));
    }
    Ok((text, fetched.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())))
}

/// Whole or not at all: beside it first.
fn write(folder: &Path, file: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = file.with_extension("new");
    let mut open = File::create(&new)?;
    open.write_all(text.as_bytes())?;
    open.sync_data()?;
    fs::rename(&new, file)
}

/// Named by what no URL can choose.
fn file(folder: &Path, url: &str) -> PathBuf {
    let name: String =
        digest(url.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("keys-{name}.json"))
}
