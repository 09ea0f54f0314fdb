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
/// Least time between two versions of one layer's destinations. What joins meanwhile is served from the sockets.
pub(super) const VERSION_INTERVAL: Duration = Duration::from_millis(50);
/// How long what a layer's former run consisted of is left alone: packets that found it are long gone then.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// Routes looked at before the control thread does something else, about.
pub(super) const ROUTES_AT_ONCE: usize = 16_384;

/// Chunks there are: each layer's run, and the one that replaces it while packets still read it.
pub(super) fn chunks(layers: u32, routes: u32) -> u32 {
    let chunk = u32::try_from(CHUNK).expect("15");
    2 * (layers + routes / chunk)
}

// A packet that waits in a socket is told from which version it was served, as long as it waits no longer than that.
const _: () =
    assert!(VERSION_INTERVAL.as_millis() * router::limits::EXPRESS_VERSIONS as u128 >= 400);
