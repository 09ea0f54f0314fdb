//! TLS without I/O: rustls fed with owned bytes, for the greeting and for media.

use rustls::ServerConnection;
use std::io::Read;

/// Feeds what came into `tls` and passes what it deciphers to `each`, in pieces. Answers whether
/// more can follow: false when the peer said goodbye.
///
/// # Errors
/// The peer does not follow TLS; an alert waits to be written.
pub(super) fn receive(
    tls: &mut ServerConnection,
    mut bytes: &[u8],
    mut each: impl FnMut(&[u8]),
) -> Result<bool, rustls::Error> {
    while !bytes.is_empty() {
        // Fails only while plain bytes wait to be read, and none are left waiting below.
        let taken = tls.read_tls(&mut bytes).map_err(|_| full())?;
        let state = tls.process_new_packets()?;
        read_plain(tls, state.plaintext_bytes_to_read(), &mut each)?;
        if state.peer_has_closed() || taken == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Everything rustls wants to write, appended to `out`.
pub(super) fn drain(tls: &mut ServerConnection, out: &mut Vec<u8>) {
    while tls.wants_write() {
        tls.write_tls(out).expect("a Vec takes everything");
    }
}

fn read_plain(
    tls: &mut ServerConnection,
    mut waiting: usize,
    each: &mut impl FnMut(&[u8]),
) -> Result<(), rustls::Error> {
    let mut plain = [0; 4096];
    while waiting > 0 {
        let read = tls.reader().read(&mut plain).map_err(|_| full())?;
        each(&plain[..read]);
        waiting = waiting.saturating_sub(read.max(1));
    }
    Ok(())
}

fn full() -> rustls::Error {
    rustls::Error::General("rustls takes no more bytes".to_owned())
}
