//! Passcodes: made, kept as argon2id hashes (RFC 9106), and checked with the same work whether there
//! is a meeting or not.

use crate::limits::{CHECK_PATIENCE, CHECKS_AT_ONCE_MAX};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// No letter or digit that is taken for another: 31 of them, 5 bits each nearly.
const ALPHABET: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
/// 31^10 passcodes: at the 30 guesses a minute that are let through, 50 million years.
const LEN: usize = 10;

/// Checks passcodes, a few at once.
pub struct Passcodes {
    places: Arc<Semaphore>,
    /// Of no passcode: what is checked where there is no meeting.
    nobodys: Arc<str>,
}

/// Too many are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passcodes are checked at once")]
pub struct Busy;

impl Passcodes {
    /// Makes what stands in for the passcode of no meeting.
    pub fn new() -> Self {
        let nobodys = hash(&generate());
        // One core is left to answer and to look after the zones.
        let cores = available_parallelism().map_or(1, NonZero::get);
        let at_once = CHECKS_AT_ONCE_MAX.min(cores.saturating_sub(1)).max(1);
        Self { places: Arc::new(Semaphore::new(at_once)), nobodys: nobodys.into() }
    }

    /// What to keep of a passcode.
    ///
    /// # Errors
    /// When too many are under way.
    pub async fn hash(&self, passcode: String) -> Result<String, Busy> {
        let place = self.place().await?;
        let hashed = spawn_blocking(move || {
            let hashed = hash(&passcode);
            drop(place);
            hashed
        });
        hashed.await.map_err(|_| Busy)
    }

    /// Whether a passcode is the one that was kept; with nothing kept it never is, after the same
    /// work.
    ///
    /// # Errors
    /// When too many are under way.
    pub async fn check(&self, passcode: String, kept: Option<String>) -> Result<bool, Busy> {
        let place = self.place().await?;
        let nobodys = Arc::clone(&self.nobodys);
        let checked = spawn_blocking(move || {
            let is_somebodys = kept.is_some();
            let right = is_right(&passcode, kept.as_deref().unwrap_or(&nobodys));
            drop(place);
            right & is_somebodys
        });
        checked.await.map_err(|_| Busy)
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let place = Arc::clone(&self.places).acquire_owned();
        timeout(CHECK_PATIENCE, place).await.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

impl Default for Passcodes {
    fn default() -> Self {
        Self::new()
    }
}

/// A passcode that nobody guesses.
pub fn generate() -> String {
    (0..LEN).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect()
}

/// 19 MiB, two passes, one lane: what OWASP recommends, and the crate's default.
fn hash(passcode: &str) -> String {
    let hash = Argon2::default().hash_password(passcode.as_bytes());
    hash.expect("the default parameters are valid, and the system has randomness").to_string()
}

fn is_right(passcode: &str, kept: &str) -> bool {
    PasswordHash::new(kept)
        .is_ok_and(|kept| Argon2::default().verify_password(passcode.as_bytes(), &kept).is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn takes_the_passcode_that_was_kept_and_no_other() {
        let passcodes = Passcodes::new();
        let kept = passcodes.hash("open.sesame".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !kept.contains("sesame"));
        assert_ne!(passcodes.hash("open.sesame".into()).await.unwrap(), kept, "salted");
        let check = async |passcode: &str, kept: Option<&str>| {
            passcodes.check(passcode.to_owned(), kept.map(str::to_owned)).await.unwrap()
        };
        assert!(check("open.sesame", Some(&kept)).await);
        assert!(!check("open.sesamE", Some(&kept)).await);
        assert!(!check("", Some(&kept)).await);
        assert!(!check("open.sesame", None).await);
        assert!(!check("open.sesame", Some("rubbish")).await);
    }

    #[tokio::test]
    async fn no_meeting_costs_what_a_wrong_passcode_does() {
        let passcodes = Passcodes::new();
        let kept = passcodes.hash("open.sesame".into()).await.unwrap();
        // The shortest of several: others may have had the core meanwhile.
        let shortest = async |kept: Option<&str>| {
            let mut shortest = f64::MAX;
            for _ in 0..5 {
                let since = Instant::now();
                passcodes.check("wrong".into(), kept.map(str::to_owned)).await.unwrap();
                shortest = shortest.min(since.elapsed().as_secs_f64());
            }
            shortest
        };
        let ratio = shortest(None).await / shortest(Some(&kept)).await;
        assert!((0.3..3.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn generated_passcodes_differ_and_can_be_read_aloud() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert!(one.len() == LEN && one.bytes().all(|byte| ALPHABET.contains(&byte)), "{one}");
    }
}
