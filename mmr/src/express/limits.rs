//! Every limit of the express plane. mmr/bpf/express.c has the loop's; a test compares them.

use std::time::Duration;

/// Destinations of one layer.
pub const DESTINATIONS_MAX: u32 = router::limits::DESTINATIONS_MAX;
/// Local addresses with a media port.
pub const LISTENS_MAX: u32 = 256;
/// Interfaces the program is attached to.
pub const INTERFACES_MAX: usize = 64;
/// Destinations in one chunk of a run.
pub const CHUNK: usize = 15;
/// Time between two versions of one layer's destinations. What joins meanwhile is served from the sockets.
pub(super) const VERSION_INTERVAL: Duration = Duration::from_millis(50);
/// How long what a layer's former run consisted of is left alone: packets that found it are long gone then.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// Routes looked at before the control thread does something else, about.
pub(super) const ROUTES_AT_ONCE: usize = 16_384;
/// Layers, and links, whose counts are read before the control thread does something else: a system call each, which
/// takes longer the more cores there are.
pub(super) const COUNTED_AT_ONCE: usize = 1_024;
/// Layers, and links, that stats tell of one by one.
pub(super) const TOP_SHOWN: usize = 16;

/// Chunks there are: each layer's run, and the one that replaces it while packets still read it.
pub(super) fn chunks(layers: u32, routes: u32) -> u32 {
    let chunk = u32::try_from(CHUNK).expect("15");
    2 * (layers + routes / chunk)
}

/// How long a version is remembered by workers at least, once another one is in effect. A packet that waits in a socket
/// for longer is given out on request only.
pub(super) const REMEMBERED: Duration = Duration::from_millis(350);

// Without hurry versions never wait for that.
const _: () = assert!(
    VERSION_INTERVAL.as_millis() * (router::limits::EXPRESS_VERSIONS as u128 - 1)
        >= REMEMBERED.as_millis()
);
