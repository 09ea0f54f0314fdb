//! How long to wait for a controller that was not reached: longer each time, never all at once.

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX};
use rand::Rng;
use std::time::Duration;

/// One controller's.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: BACKOFF_FIRST }
    }

    /// It was reached.
    pub(super) fn reset(&mut self) {
        self.next = BACKOFF_FIRST;
    }

    /// It was not: how long to wait, between half of the longest wait now and all of it.
    pub(super) fn wait(&mut self, random: &mut impl Rng) -> Duration {
        let most = self.next;
        self.next = (most * 2).min(BACKOFF_MAX);
        random.random_range(most / 2..=most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn waits_longer_each_time_up_to_the_limit_and_never_all_at_once() {
        for seed in 0..100 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new();
            for most_ms in [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000] {
                let wait_ms = backoff.wait(&mut random).as_millis();
                assert!((most_ms / 2..=most_ms).contains(&wait_ms), "seed {seed}: {wait_ms} ms");
            }
            backoff.reset();
            assert!(backoff.wait(&mut random) <= BACKOFF_FIRST);
        }
        let spread = |seed| Backoff::new().wait(&mut StdRng::seed_from_u64(seed));
        assert_ne!(spread(1), spread(2));
    }
}
