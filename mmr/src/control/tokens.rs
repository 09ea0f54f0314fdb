//! Join tokens: checked against the zone's keys, and each taken once.

use super::limits::TOKENS_USED_MAX;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{BTreeSet, HashSet};
use wire::control::ErrorCode;
use wire::token::{Claims, TokenError, Verifier};

/// Checks tokens and remembers those that were used.
pub(super) struct Tokens {
    verifier: Verifier,
    used: Used,
}

impl Tokens {
    pub(super) fn new(verifier: Verifier) -> Self {
        Self { verifier, used: Used::new(TOKENS_USED_MAX) }
    }

    /// New keys; what was used stays used.
    pub(super) fn replace_keys(&mut self, verifier: Verifier) {
        self.verifier = verifier;
    }

    /// Takes a token for good, or says why not, for programs and for people.
    pub(super) fn take(
        &mut self,
        token: &str,
        now_s: u64,
    ) -> Result<Claims, (ErrorCode, &'static str)> {
        let claims = self.verifier.verify(token, now_s).map_err(refusal)?;
        match self.used.take(&claims.jti, claims.exp, now_s) {
            Ok(()) => Ok(claims),
            Err(TakeError::Again) => Err((
                ErrorCode::TokenUsed,
                "This token was used before. Ask the web infrastructure for a new one; to come back to a session, \
                 send resume.",
            )),
            Err(TakeError::Full) => Err((
                ErrorCode::LimitReached,
                "This MMR took too many tokens in the last minutes. Try again later, or another MMR.",
            )),
        }
    }
}

fn refusal(error: TokenError) -> (ErrorCode, &'static str) {
    match error {
        TokenError::Expired => (
            ErrorCode::TokenExpired,
            "The token's time is over, or not yet come, or longer than 10 minutes. Ask for a new one; if that one \
             fails too, compare the clocks.",
        ),
        TokenError::TooLong => (ErrorCode::BadToken, "The token is longer than 2048 bytes."),
        TokenError::Malformed => (
            ErrorCode::BadToken,
            "The token is not a JWT with the header alg EdDSA and a kid and this zone's claims.",
        ),
        TokenError::UnknownKey => (
            ErrorCode::BadToken,
            "No key of this zone has the token's kid. Was it made for another zone, or with a key that was retired?",
        ),
        TokenError::Forged => {
            (ErrorCode::BadToken, "The token was not signed by this zone, or is for another one.")
        }
    }
}

/// Tokens used, until they expire. Keeps digests: a peer's choice of `jti` costs no more memory
/// than another's.
struct Used {
    digests: HashSet<[u8; 32]>,
    by_expiry: BTreeSet<(u64, [u8; 32])>,
    most: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum TakeError {
    Again,
    Full,
}

impl Used {
    fn new(most: usize) -> Self {
        Self { digests: HashSet::new(), by_expiry: BTreeSet::new(), most }
    }

    fn take(&mut self, jti: &str, exp: u64, now_s: u64) -> Result<(), TakeError> {
        self.forget_expired(now_s);
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, jti.as_bytes()).as_ref());
        if self.digests.contains(&key) {
            return Err(TakeError::Again);
        }
        // Forgetting one early would let it be used again: rather refuse the newcomer.
        if self.digests.len() >= self.most {
            return Err(TakeError::Full);
        }
        self.digests.insert(key);
        self.by_expiry.insert((exp, key));
        Ok(())
    }

    fn forget_expired(&mut self, now_s: u64) {
        // The verifier's leeway for clocks, and one second for rounding.
        const LEEWAY_S: u64 = 6;
        while let Some(&(exp, key)) = self.by_expiry.first() {
            if exp + LEEWAY_S >= now_s {
                break;
            }
            self.by_expiry.pop_first();
            self.digests.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_token_once_until_it_has_expired() {
        let mut used = Used::new(10);
        assert_eq!(used.take("a", 100, 50), Ok(()));
        assert_eq!(used.take("a", 100, 106), Err(TakeError::Again));
        assert_eq!(used.take("a", 300, 107), Ok(()), "an expired one is refused by the verifier");
    }

    #[test]
    fn is_bounded_and_rather_refuses_than_forgets() {
        let mut used = Used::new(2);
        assert_eq!(used.take("a", 100, 50), Ok(()));
        assert_eq!(used.take("b", 200, 50), Ok(()));
        assert_eq!(used.take("c", 200, 50), Err(TakeError::Full));
        assert_eq!(used.take("c", 200, 107), Ok(()), "a has expired");
        assert_eq!(used.digests.len(), used.by_expiry.len());
    }
}
