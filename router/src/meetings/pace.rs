//! How often a participant may ask: a burst at once, then one per interval.

use std::time::{Duration, Instant};

/// A leaky bucket that keeps one instant: when it will be empty again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    empty_at: Instant,
    interval: Duration,
    burst: u32,
}

impl Pace {
    pub(super) fn new(now: Instant, interval: Duration, burst: u32) -> Self {
        Self { empty_at: now, interval, burst }
    }

    /// Notes one request; false when it is one too many.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        let empty_at = self.empty_at.max(now) + self.interval;
        if empty_at > now + self.interval * self.burst {
            return false;
        }
        self.empty_at = empty_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_a_burst_and_then_one_per_interval() {
        let start = Instant::now();
        let mut pace = Pace::new(start, Duration::from_secs(1), 3);
        let allowed = |pace: &mut Pace, at| (0..10).filter(|_| pace.allow(at)).count();
        assert_eq!(allowed(&mut pace, start), 3);
        assert_eq!(allowed(&mut pace, start + Duration::from_millis(999)), 0);
        assert_eq!(allowed(&mut pace, start + Duration::from_secs(1)), 1);
        assert_eq!(allowed(&mut pace, start + Duration::from_secs(60)), 3);
    }
}
