//! Limits and times of the agent, and how they relate.

use std::time::Duration;

/// How often the host and the daemon's stats are sampled, and a report is made.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the daemon is asked whether its workers take their turns.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_millis(200);
/// A worker that has not finished a turn for so long is stalled; idle ones turn once a second.
pub(crate) const WORKER_STALLED_AFTER: Duration = Duration::from_millis(1_500);
/// A daemon that has not answered for so long is stalled.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_millis(1_200);
/// How long all must be well again before `stalled` is over.
pub(crate) const RECOVERED_AFTER: Duration = Duration::from_secs(2);
/// A controller that has not answered a report for so long counts as not reached.
pub(crate) const REPLY_DEADLINE: Duration = Duration::from_secs(2);
/// The first wait after a controller was not reached; it doubles…
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// …up to this.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// Largest answer read from the admin socket, in bytes.
pub(crate) const ANSWER_LEN_MAX: usize = 16 << 20;
/// Largest file read from /proc or /sys, in bytes.
pub(crate) const FILE_LEN_MAX: u64 = 16 << 20;
/// Controllers of one zone.
pub(crate) const CONTROLLERS_MAX: usize = 16;
/// Cores of one host that are looked at.
pub(crate) const CORES_MAX: usize = 4_096;

// A daemon that died or stalled is reported within 2 s.
const _: () = assert!(
    HEALTH_INTERVAL.as_millis() + WORKER_STALLED_AFTER.as_millis() < 2_000
        && HEALTH_INTERVAL.as_millis() + ANSWER_DEADLINE.as_millis() < 2_000
);
// Workers that are idle must not count as stalled.
const _: () = assert!(WORKER_STALLED_AFTER.as_millis() > 1_000 + HEALTH_INTERVAL.as_millis());
