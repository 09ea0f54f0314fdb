//! What is looked at when the daemon starts: why a port can't be had, and what of the host is too
//! small, with the remedy.

use crate::Error;
use crate::network::Backend;
use crate::network::sockets::{BindError, BufferSize, Listening};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::ErrorKind;

/// Below this, kernels before 5.12 refuse rings (io_uring_setup(2) on RLIMIT_MEMLOCK).
const MEMLOCK_LEAST: u64 = 8 << 20;

/// A UDP address that can't be had, with what to do about it.
pub(crate) fn listen_error(error: BindError) -> Error {
    let port = error.address.port();
    let remedy = match error.source.kind() {
        ErrorKind::AddrInUse => format!(
            "Another process has the port, perhaps another mmr: see `ss -lunp 'sport = :{port}'`, stop it, or choose \
             another port (listen.media_port, --media-port)."
        ),
        ErrorKind::PermissionDenied => "Ports below 1024 need CAP_NET_BIND_SERVICE; choose a port from 1024 on \
             (listen.media_port, --media-port)."
            .to_owned(),
        ErrorKind::AddrNotAvailable => "The address is on no interface of this host: see `ip address`, or listen on \
             0.0.0.0 and ::."
            .to_owned(),
        _ => "Is that IP version switched off on this host? Then leave the address out of listen.addresses."
            .to_owned(),
    };
    Error::Listen { what: format!("UDP {}", error.address), cause: error.source, remedy }
}

/// What of the host is smaller than what was asked for. Each with its consequence and its remedy.
pub(crate) fn warnings(listening: &Listening, backend: Backend, files: u64) -> Vec<String> {
    let buffers = [
        buffer_warning("receive", "net.core.rmem_max", listening.receive_buffer),
        buffer_warning("send", "net.core.wmem_max", listening.send_buffer),
    ];
    buffers.into_iter().chain([file_warning(files), memlock_warning(backend)]).flatten().collect()
}

fn buffer_warning(name: &str, sysctl: &str, size: BufferSize) -> Option<String> {
    let BufferSize { requested, granted } = size;
    (granted < requested).then(|| {
        format!(
            "the kernel grants {name} buffers of {granted} bytes, not {requested}: bursts will be dropped sooner. \
             Raise it with `sysctl -w {sysctl}={requested}` (and in /etc/sysctl.d), or lower buffers.{name}"
        )
    })
}

/// Raises the soft limit as far as it goes, and warns when that is too little.
fn file_warning(needed: u64) -> Option<String> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let wanted = needed.min(hard);
    if soft < wanted {
        // Within the hard limit this is always allowed; the check below tells otherwise.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    (soft < needed).then(|| {
        format!(
            "only {soft} files may be open, and the configured limits may need {needed}: connections will be refused \
             before. Set LimitNOFILE={needed} in the systemd unit (`ulimit -Hn` in a shell), or lower limits.channels"
        )
    })
}

fn memlock_warning(backend: Backend) -> Option<String> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (backend == Backend::Uring && soft < MEMLOCK_LEAST).then(|| {
        format!(
            "only {soft} bytes of memory may be locked: older kernels refuse io_uring with so little. \
             Set LimitMEMLOCK=infinity in the systemd unit (`ulimit -Hl` in a shell)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_of_a_buffer_the_kernel_cut_and_says_how_to_raise_it() {
        let cut = BufferSize { requested: 4_194_304, granted: 212_992 };
        let warning = buffer_warning("receive", "net.core.rmem_max", cut).expect("a warning");
        assert!(warning.contains("sysctl -w net.core.rmem_max=4194304"), "{warning}");
        let full = BufferSize { requested: 4_194_304, granted: 4_194_304 };
        assert_eq!(buffer_warning("receive", "net.core.rmem_max", full), None);
    }

    #[test]
    fn warns_of_files_only_when_more_may_be_needed() {
        assert_eq!(file_warning(16), None);
        let warning = file_warning(u64::MAX).map(|text| text.contains("LimitNOFILE"));
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert!(warning == Some(true) || hard == u64::MAX, "{warning:?}");
    }
}
