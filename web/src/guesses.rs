//! How often a passcode may be wrong: for one meeting, and from one address. Wrong tokens count from
//! their address, too.
//!
//! Each lookup takes a guess of both and gets it back unless the passcode was wrong. A meeting that does
//! not exist is counted like one that does.

use crate::limits::PACED_MAX;
use ::daemon::pace::{Pace, Paces};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Paces here are a minute's: time is told to them a sixtieth as fast.
const SLOWER: u32 = 60;

/// Wrong passcodes a minute, in the long run and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMinute {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// The guesses of everybody.
pub struct Guesses {
    of_meetings: Mutex<Paces>,
    of_addresses: Mutex<Paces>,
}

impl Guesses {
    /// So many for each.
    pub fn new(meeting: PerMinute, address: PerMinute) -> Self {
        let paces = |PerMinute { per_minute, burst }| {
            Mutex::new(Paces::new(Pace { per_s: per_minute, burst }, PACED_MAX))
        };
        Self { of_meetings: paces(meeting), of_addresses: paces(address) }
    }

    /// Takes one guess for both; `now` is since the start.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, meeting: &str, address: IpAddr, now: Duration) -> Result<(), Duration> {
        self.take_from(address, now)?;
        let taken = lock(&self.of_meetings).take(meeting, now / SLOWER);
        // Nothing was guessed: somebody else's guesses at the meeting do not count for this address.
        taken.inspect_err(|_| self.give_back_to(address)).map_err(|wait| wait * SLOWER)
    }

    /// Takes one guess for the address alone.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take_from(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        lock(&self.of_addresses).take(address, now / SLOWER).map_err(|wait| wait * SLOWER)
    }

    /// It was right.
    pub fn give_back(&self, meeting: &str, address: IpAddr) {
        self.give_back_to(address);
        lock(&self.of_meetings).give_back(meeting);
    }

    /// What was taken for the address alone was right.
    pub fn give_back_to(&self, address: IpAddr) {
        lock(&self.of_addresses).give_back(address);
    }
}

fn lock(paces: &Mutex<Paces>) -> MutexGuard<'_, Paces> {
    paces.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: PerMinute = PerMinute { per_minute: 6, burst: 3 };
    const MEETING: PerMinute = PerMinute { per_minute: 60, burst: 5 };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_address_guesses_only_so_often_and_right_ones_do_not_count() {
        let guesses = Guesses::new(MEETING, ADDRESS);
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..20 {
            assert_eq!(guesses.take("right", address, s(100)), Ok(()));
            guesses.give_back("right", address);
        }
        for meeting in ["a", "b", "c"] {
            assert_eq!(guesses.take(meeting, address, s(100)), Ok(()));
        }
        let wait = guesses.take("d", address, s(100)).expect_err("the burst is used up");
        // A sixtieth of the time loses some nanoseconds.
        assert!((9_999..=10_000).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(guesses.take("d", address, s(110)), Ok(()));
        assert_eq!(guesses.take("d", IpAddr::from([192, 0, 2, 2]), s(110)), Ok(()));
    }

    #[test]
    fn a_meeting_is_guessed_at_only_so_often_from_everywhere() {
        let guesses = Guesses::new(MEETING, ADDRESS);
        let taken = (0..50)
            .filter(|last| guesses.take("a", IpAddr::from([192, 0, 2, *last]), s(100)).is_ok());
        assert_eq!(taken.count(), 5);
        let waiting = IpAddr::from([198, 51, 100, 2]);
        assert!((0..20).all(|_| guesses.take("a", waiting, s(100)).is_err()));
        assert_eq!(guesses.take("b", waiting, s(100)), Ok(()), "it could not guess at all");
        assert_eq!(guesses.take("b", IpAddr::from([198, 51, 100, 1]), s(100)), Ok(()));
        assert_eq!(guesses.take("a", IpAddr::from([198, 51, 100, 1]), s(101)), Ok(()));
    }
}
