//! How much of everything the web infrastructure holds and reads, and how the limits relate.

use std::time::Duration;

/// Most zones, controllers of one, and tunnels.
pub const ZONES_MAX: usize = 256;
/// See [`ZONES_MAX`].
pub const CONTROLLERS_MAX: usize = 16;
/// See [`ZONES_MAX`].
pub const TUNNELS_MAX: usize = 64;
/// Most keys that are published.
pub const KEYS_MAX: usize = 8;
/// Addresses, or meetings, whose guesses are paced at once.
pub const PACED_MAX: usize = 65_536;

/// How long a request may take, from its head to its answer.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How long the store may take.
pub const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// Connections to the database.
pub const STORE_CONNECTIONS: u32 = 8;
/// Most passcodes that are checked at once, each with 19 MiB of memory and a core of its own.
pub const CHECKS_AT_ONCE_MAX: usize = 8;
/// How long a check may wait for its turn.
pub const CHECK_PATIENCE: Duration = Duration::from_secs(3);
/// How often a random number is tried for a new meeting.
pub const NUMBER_TRIES: usize = 8;
/// How long a meeting's zone is taken for granted before its being settled again is written down.
pub const SETTLED_AGAIN: Duration = Duration::from_secs(30);
/// Shortest and longest a meeting's zone may be kept after somebody settled for it.
pub const ZONE_KEPT_MIN: Duration = Duration::from_secs(60);
/// See [`ZONE_KEPT_MIN`].
pub const ZONE_KEPT_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How often a change of a meeting's zone is tried again when another was faster.
pub const SETTLE_TRIES: usize = 3;
/// How long a controller may take to answer a health check.
pub const HEALTH_PATIENCE: Duration = Duration::from_secs(2);
/// Largest answer to a health check that is read, in bytes.
pub const PONG_LEN_MAX: usize = 4 * 1024;

const _: () = assert!(SETTLED_AGAIN.as_secs() * 2 <= ZONE_KEPT_MIN.as_secs());
const _: () = assert!(
    STORE_PATIENCE.as_secs() + CHECK_PATIENCE.as_secs() + STORE_PATIENCE.as_secs()
        < REQUEST_PATIENCE.as_secs()
);
