//! The admin socket's file: for its owner alone, a stale one replaced, a live one left to its
//! daemon, and what is no socket left alone.

use crate::Error;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Listens on a socket file of mode 0600.
///
/// # Errors
/// Another daemon answers there, another file is there, or the file can't be made.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, Error> {
    match UnixStream::connect(path) {
        Ok(_) => return Err(taken(path)),
        // Nobody listens: left by a daemon that was killed, or no socket at all.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            if !is_socket(path) {
                let cause = io::Error::other("another file is in its place");
                return Err(refused(path, cause));
            }
            std::fs::remove_file(path).map_err(|cause| refused(path, cause))?;
        }
        Err(_) => {}
    }
    let listener = bind(path).map_err(|cause| match cause.kind() {
        ErrorKind::AddrInUse => taken(path),
        _ => refused(path, cause),
    })?;
    listener.set_nonblocking(true).map_err(|cause| refused(path, cause))?;
    Ok(listener)
}

/// Not through a link: what is removed is what is looked at.
fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

fn taken(path: &Path) -> Error {
    Error::Listen {
        what: format!("the admin socket {}", path.display()),
        cause: io::Error::from(ErrorKind::AddrInUse),
        remedy: "Another mmr runs with it: stop that one, or set admin.socket to another path."
            .to_owned(),
    }
}

fn refused(path: &Path, cause: io::Error) -> Error {
    let remedy = match cause.kind() {
        ErrorKind::NotFound => {
            "Make its folder (systemd does with RuntimeDirectory=mmr), or set admin.socket to another path."
        }
        ErrorKind::PermissionDenied => {
            "Let this user write its folder (systemd does with RuntimeDirectory=mmr), or set admin.socket to another path."
        }
        ErrorKind::InvalidInput => "Set admin.socket to a path of at most 107 bytes.",
        _ => "Remove what is there, or set admin.socket to another path.",
    };
    Error::Listen {
        what: format!("the admin socket {}", path.display()),
        cause,
        remedy: remedy.to_owned(),
    }
}
