//! How fast something may happen: so many a second, with bursts.
//!
//! The generic cell rate algorithm (ITU-T I.371): one moment per thing, at which its bucket would be
//! full again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A rate with bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In the long run.
    pub per_s: u32,
    /// At once.
    pub burst: u32,
}

/// When a bucket will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(Duration);

impl Bucket {
    /// Takes one, or says how long until there will be one.
    ///
    /// # Errors
    /// How long until then.
    pub fn take(&mut self, pace: Pace, now: Duration) -> Result<(), Duration> {
        let each = Duration::from_secs(1) / pace.per_s.max(1);
        let full = self.0.max(now) + each;
        let latest = now + each * pace.burst.max(1);
        if full > latest {
            return Err(full - latest);
        }
        self.0 = full;
        Ok(())
    }

    /// Takes so many whether they are there or not; answers how long to wait until they would have
    /// been.
    pub fn charge(&mut self, pace: Pace, count: u32, now: Duration) -> Duration {
        let each = Duration::from_secs(1) / pace.per_s.max(1);
        self.0 = self.0.max(now) + each * count;
        self.0.saturating_sub(now + each * pace.burst.max(1))
    }

    /// Takes nothing after all.
    pub fn give_back(&mut self, pace: Pace) {
        self.0 = self.0.saturating_sub(Duration::from_secs(1) / pace.per_s.max(1));
    }
}

/// All buckets are looked through so often, to hold no more than are in use…
const TIDY_INTERVAL: Duration = Duration::from_secs(10);
/// …and at most so often, when there are too many.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// One pace for many things, by name. Bounded: things whose bucket is full again are forgotten.
pub struct Paces {
    pace: Pace,
    most: usize,
    buckets: HashMap<u64, Bucket>,
    /// When those whose bucket was full again were last forgotten.
    swept: Duration,
    /// Keyed anew in each process: nobody outside can make two names meet.
    hasher: RandomState,
}

impl Paces {
    /// For at most so many things at once.
    pub fn new(pace: Pace, most: usize) -> Self {
        Self {
            pace,
            most,
            buckets: HashMap::new(),
            swept: Duration::ZERO,
            hasher: RandomState::new(),
        }
    }

    /// Takes one for `name`.
    ///
    /// # Errors
    /// How long until there will be one; also when there are too many names at once.
    pub fn take(&mut self, name: impl std::hash::Hash, now: Duration) -> Result<(), Duration> {
        let key = self.hasher.hash_one(name);
        let is_in_the_way = self.buckets.len() >= self.most && !self.buckets.contains_key(&key);
        let interval = if is_in_the_way { SWEEP_INTERVAL } else { TIDY_INTERVAL };
        if now.saturating_sub(self.swept) >= interval {
            self.swept = now;
            self.buckets.retain(|_, bucket| bucket.0 > now);
        }
        if is_in_the_way && self.buckets.len() >= self.most {
            return Err(Duration::from_secs(1));
        }
        self.buckets.entry(key).or_default().take(self.pace, now)
    }

    /// Takes nothing for `name` after all.
    pub fn give_back(&mut self, name: impl std::hash::Hash) {
        let key = self.hasher.hash_one(name);
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.give_back(self.pace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { per_s: 10, burst: 3 };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn lets_a_burst_through_and_then_keeps_the_rate() {
        let mut paces = Paces::new(PACE, 10);
        let taken = (0..5).filter(|_| paces.take("a", ms(1_000)).is_ok()).count();
        assert_eq!(taken, 3);
        assert_eq!(paces.take("a", ms(1_000)), Err(ms(100)));
        assert_eq!(paces.take("a", ms(1_100)), Ok(()));
        assert_eq!(paces.take("a", ms(1_150)), Err(ms(50)));
        assert_eq!(paces.take("b", ms(1_150)), Ok(()), "others are not slowed down");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut paces = Paces::new(PACE, 10);
        for _ in 0..3 {
            paces.take("a", ms(0)).expect("within the burst");
        }
        paces.give_back("a");
        assert_eq!(paces.take("a", ms(0)), Ok(()));
        assert_eq!(paces.take("a", ms(0)), Err(ms(100)));
    }

    #[test]
    fn what_is_charged_at_once_is_waited_for() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.charge(PACE, 3, ms(1_000)), ms(0));
        assert_eq!(bucket.charge(PACE, 5, ms(1_000)), ms(500));
        assert_eq!(bucket.charge(PACE, 1, ms(1_500)), ms(100));
        assert_eq!(bucket.charge(PACE, 1, ms(9_000)), ms(0));
    }

    #[test]
    fn is_bounded_and_forgets_who_has_waited() {
        let mut paces = Paces::new(PACE, 2);
        assert_eq!(paces.take("a", ms(0)), Ok(()));
        assert_eq!(paces.take("b", ms(0)), Ok(()));
        assert!(paces.take("c", ms(0)).is_err());
        assert_eq!(paces.take("c", ms(200)), Ok(()));
        assert!(paces.buckets.len() <= 2);
    }

    #[test]
    fn holds_no_more_than_are_in_use() {
        let mut paces = Paces::new(PACE, 100_000);
        for name in 0..50_000_u64 {
            assert_eq!(paces.take(name, ms(name)), Ok(()));
        }
        assert!(paces.buckets.len() <= 10_200, "{}", paces.buckets.len());
    }
}
