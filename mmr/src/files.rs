//! Files and folders for their owner alone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes the folder with mode 0700, or checks that it is one already and ours.
pub(crate) fn private_folder(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    // Not through a link: somebody else's link in a shared folder must not lead our keys away.
    let found = fs::symlink_metadata(dir)?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::other("it is not a folder of this user"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others may enter it (chmod 700 closes it)"));
    }
    Ok(())
}

/// Writes a file of mode 0600, replacing what was there at once.
pub(crate) fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(content.as_bytes())?;
    fs::rename(&new, path)
}
