//! What time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// The host's clock, in Unix seconds; long before any token is valid when that stands before 1970.
pub fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
