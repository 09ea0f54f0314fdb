//! Time as a number: nanoseconds since the worker started. Small enough to stand in every table.

use std::time::{Duration, Instant};

/// Nanoseconds since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(pub(super) u64);

impl Stamp {
    /// The stamp `duration` later.
    pub(super) const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// How long after `earlier`, zero when before.
    pub(super) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration's nanoseconds; 584 years and more are as good as for ever.
#[expect(clippy::cast_possible_truncation, reason = "durations here are constants of seconds")]
pub(super) const fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// Turns instants into stamps and back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    /// Counts from `started`.
    pub(super) fn new(started: Instant) -> Self {
        Self { started }
    }

    /// An instant before the start counts as the start: another worker may have started earlier.
    pub(super) fn stamp(&self, at: Instant) -> Stamp {
        Stamp(nanos(at.saturating_duration_since(self.started)))
    }

    /// The instant of a stamp.
    pub(super) fn instant(&self, stamp: Stamp) -> Instant {
        self.started + Duration::from_nanos(stamp.0)
    }
}
