//! What one participant may use: tunnels at once, how fast it may ask for them, bytes, bytes a second.
//!
//! Time is a value. An account stays until its participant's last token is over: who closes all its
//! tunnels begins no new account.

use crate::limits::ACCOUNTS_MAX;
use crate::zones::Holder;
use ::daemon::pace::{Bucket, Pace};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What each participant may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Tunnels at once.
    pub tunnels: u32,
    /// How fast it may ask for tunnels.
    pub asks: Pace,
    /// How fast its bytes flow, in all its tunnels and both directions.
    pub bytes_per_s: u32,
    /// Bytes in all, in all its tunnels and both directions.
    pub bytes: u64,
}

/// Every participant's.
pub struct Accounts {
    allowance: Allowance,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    accounts: HashMap<[u8; 32], Arc<Account>>,
    /// When those that are over were last forgotten, Unix seconds: at most once a second.
    swept_s: u64,
}

/// One participant's.
struct Account {
    allowance: Allowance,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    tunnels: u32,
    bytes: u64,
    asks: Bucket,
    pace: Bucket,
    until_s: u64,
}

/// Why a participant gets no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It asks too often: how long to wait.
    TooFast(Duration),
    /// It has as many as it may.
    TooMany,
    /// Its bytes are used up.
    Spent,
    /// There are too many participants.
    Full,
}

/// The place of one tunnel; given back when dropped.
pub struct Seat(Arc<Account>);

impl Accounts {
    /// With the same for everybody.
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, open: Mutex::default() }
    }

    /// A place for one more tunnel; `now` is since the start, `now_s` are Unix seconds.
    ///
    /// # Errors
    /// Why there is none.
    pub fn enter(&self, holder: &Holder, now: Duration, now_s: u64) -> Result<Seat, Denied> {
        let account = self.account(holder, now_s)?;
        let mut used = lock(&account.used);
        used.until_s = used.until_s.max(holder.until_s);
        used.asks.take(self.allowance.asks, now).map_err(Denied::TooFast)?;
        if used.bytes >= self.allowance.bytes {
            return Err(Denied::Spent);
        }
        if used.tunnels >= self.allowance.tunnels {
            return Err(Denied::TooMany);
        }
        used.tunnels += 1;
        drop(used);
        Ok(Seat(account))
    }

    /// How many participants are counted.
    pub fn count(&self) -> usize {
        lock(&self.open).accounts.len()
    }

    fn account(&self, holder: &Holder, now_s: u64) -> Result<Arc<Account>, Denied> {
        let Open { accounts, swept_s } = &mut *lock(&self.open);
        if let Some(account) = accounts.get(&holder.participant) {
            return Ok(Arc::clone(account));
        }
        if accounts.len() >= ACCOUNTS_MAX {
            if *swept_s != now_s {
                *swept_s = now_s;
                accounts.retain(|_, account| account.is_needed(now_s));
            }
            if accounts.len() >= ACCOUNTS_MAX {
                return Err(Denied::Full);
            }
        }
        let account =
            Arc::new(Account { allowance: self.allowance, used: Mutex::new(Used::default()) });
        accounts.insert(holder.participant, Arc::clone(&account));
        Ok(account)
    }
}

impl Account {
    fn is_needed(&self, now_s: u64) -> bool {
        let used = lock(&self.used);
        used.tunnels > 0 || used.until_s >= now_s
    }
}

impl Seat {
    /// Counts bytes that were read; answers how long to wait before more are.
    ///
    /// # Errors
    /// They are more than the participant may use.
    pub fn charge(&self, bytes: usize, now: Duration) -> Result<Duration, Denied> {
        let Self(account) = self;
        let mut used = lock(&account.used);
        used.bytes = used.bytes.saturating_add(bytes as u64);
        if used.bytes > account.allowance.bytes {
            return Err(Denied::Spent);
        }
        // A second's worth at once.
        let per_s = account.allowance.bytes_per_s;
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        Ok(used.pace.charge(Pace { per_s, burst: per_s }, count, now))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.0.used).tunnels -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        tunnels: 2,
        asks: Pace { per_s: 1, burst: 4 },
        bytes_per_s: 1_000,
        bytes: 10_000,
    };

    fn holder(number: u32, until_s: u64) -> Holder {
        let mut participant = [0; 32];
        participant[..4].copy_from_slice(&number.to_be_bytes());
        Holder { zone: "z".into(), participant, until_s }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_participant_has_so_many_tunnels_at_once_and_others_have_theirs() {
        let accounts = Accounts::new(ALLOWANCE);
        let first = accounts.enter(&holder(1, 100), s(0), 0).unwrap();
        let _second = accounts.enter(&holder(1, 200), s(0), 0).unwrap();
        assert_eq!(accounts.enter(&holder(1, 300), s(0), 0).err(), Some(Denied::TooMany));
        let _other = accounts.enter(&holder(2, 100), s(0), 0).unwrap();
        drop(first);
        let _third = accounts.enter(&holder(1, 100), s(0), 0).unwrap();
        let denied = accounts.enter(&holder(1, 100), s(0), 0).err();
        assert_eq!(denied, Some(Denied::TooFast(s(1))), "refusals count, too");
        assert_eq!(accounts.count(), 2);
    }

    #[test]
    fn all_tunnels_of_a_participant_share_one_pace() {
        let accounts = Accounts::new(ALLOWANCE);
        let first = accounts.enter(&holder(1, 100), s(0), 0).unwrap();
        let second = accounts.enter(&holder(1, 100), s(0), 0).unwrap();
        assert_eq!(first.charge(1_000, s(10)), Ok(s(0)), "a second's worth at once");
        assert_eq!(second.charge(500, s(10)), Ok(Duration::from_millis(500)));
        assert_eq!(first.charge(500, s(11)), Ok(s(0)));
    }

    #[test]
    fn bytes_are_counted_over_all_tunnels_and_tokens() {
        let accounts = Accounts::new(ALLOWANCE);
        let seat = accounts.enter(&holder(1, 100), s(0), 0).unwrap();
        assert!(seat.charge(6_000, s(0)).is_ok());
        drop(seat);
        let seat = accounts.enter(&holder(1, 900), s(9), 9).unwrap();
        assert!(seat.charge(4_000, s(9)).is_ok());
        assert_eq!(seat.charge(1, s(9)), Err(Denied::Spent));
        drop(seat);
        assert_eq!(accounts.enter(&holder(1, 900), s(9), 9).err(), Some(Denied::Spent));
    }

    #[test]
    fn accounts_are_bounded_and_forgotten_when_their_tokens_are_over() {
        let accounts = Accounts::new(ALLOWANCE);
        let most = u32::try_from(ACCOUNTS_MAX).unwrap();
        let kept = accounts.enter(&holder(0, 100), s(0), 0).unwrap();
        for number in 1..most {
            drop(accounts.enter(&holder(number, 100), s(0), 0).unwrap());
        }
        assert_eq!(accounts.enter(&holder(most, 100), s(0), 100).err(), Some(Denied::Full));
        let _new = accounts.enter(&holder(most, 300), s(0), 101).unwrap();
        assert_eq!(accounts.count(), 2, "one has a tunnel still");
        drop(kept);
    }
}
