//! Reads a file of the kernel's: bounded, and as text whatever stands in it.

use crate::limits::FILE_LEN_MAX;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
