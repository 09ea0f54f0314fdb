//! Join tokens: JWT (RFC 7519), EdDSA over Ed25519 only (RFC 8037), at most 10 minutes, single use.
//!
//! Not here: remembering which tokens were used; who verifies them keeps their `jti` until they
//! end.

mod keys;
mod ticket;

use crate::Kind;
use crate::limits::{NAME_LEN_MAX, TOKEN_LEN_MAX, TOKEN_LIFETIME_S_MAX};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
pub use keys::{KeyError, PublicKeys, Signer, public_jwks};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
pub use ticket::{TICKET_TYPE, Ticket, TicketVerifier, is_ticket, zone_of};

/// What a token grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claims {
    /// The zone it is for.
    #[schemars(length(min = 1, max = 64))]
    pub aud: String,
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting: String,
    /// The participant: its name within the meeting.
    #[schemars(length(min = 1, max = 64))]
    pub sub: String,
    /// What it may do.
    pub role: Role,
    /// The kinds it may connect.
    pub kinds: Vec<Kind>,
    /// Issued at, Unix seconds.
    pub iat: u64,
    /// Ends at, Unix seconds.
    pub exp: u64,
    /// Single use.
    #[schemars(length(min = 1, max = 64))]
    pub jti: String,
}

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Host,
    /// Publish and subscribe.
    Attendee,
    /// Subscribe only.
    Viewer,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Over `TOKEN_LEN_MAX`; nothing else was looked at.
    #[error("the token is too long")]
    TooLong,
    /// Not a JWT of this form, another algorithm than EdDSA, or names over their limits.
    #[error("the token is malformed")]
    Malformed,
    /// No key with this `kid`.
    #[error("the token's key is not known here")]
    UnknownKey,
    /// Signature or audience wrong.
    #[error("the token is not for this zone or was not signed by it")]
    Forged,
    /// Over, or not yet, or longer-lived than 10 minutes.
    #[error("the token has expired")]
    Expired,
}

/// How far the signer's clock and ours may be apart, in seconds.
const LEEWAY_S: u64 = 5;

/// Checks tokens against the zone's public keys. Single use is the caller's to keep, by `jti`.
pub struct Verifier {
    keys: PublicKeys,
    validation: Validation,
}

impl Verifier {
    /// For tokens of any of these zones, signed with any of these keys.
    pub fn new(zones: &[&str], keys: PublicKeys) -> Self {
        Self { keys, validation: validation(zones) }
    }

    /// For one zone, with the keys of one JWKS document: see [`PublicKeys::from_jwks`].
    pub fn from_jwks(zone: &str, jwks: &str) -> Result<Self, KeyError> {
        Ok(Self::new(&[zone], PublicKeys::from_jwks(jwks)?))
    }

    /// Size first, then header, then signature, audience and times (Unix seconds, 5 s of leeway).
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        let (_, claims) = open::<Claims>(&self.keys, &self.validation, token)?;
        fit(&[&claims.aud, &claims.meeting, &claims.sub, &claims.jti])?;
        check_times(claims.iat, claims.exp, TOKEN_LIFETIME_S_MAX, now_s)?;
        Ok(claims)
    }
}

/// Signature by a known key, and audience; times are checked against the caller's clock.
fn validation(audiences: &[&str]) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["aud", "exp"]);
    validation.validate_exp = false;
    validation
}

/// The header's `typ` and the claims of a JWT that was signed with one of the keys.
fn open<C: DeserializeOwned>(
    keys: &PublicKeys,
    validation: &Validation,
    token: &str,
) -> Result<(Option<String>, C), TokenError> {
    if token.len() > TOKEN_LEN_MAX {
        return Err(TokenError::TooLong);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    // RFC 7515 §4.1.11: extensions that must be understood are not.
    if header.alg != Algorithm::EdDSA || header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let key = header.kid.and_then(|kid| keys.named(&kid)).ok_or(TokenError::UnknownKey)?;
    let opened = jsonwebtoken::decode::<C>(token, key, validation);
    let claims = opened.map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAudience => TokenError::Forged,
        _ => TokenError::Malformed,
    })?;
    Ok((header.typ, claims.claims))
}

fn fit(names: &[&str]) -> Result<(), TokenError> {
    let fits = |name: &&str| (1..=NAME_LEN_MAX).contains(&name.len());
    if names.iter().all(fits) { Ok(()) } else { Err(TokenError::Malformed) }
}

fn check_times(iat: u64, exp: u64, lifetime_s_max: u64, now_s: u64) -> Result<(), TokenError> {
    let lifetime_s = exp.checked_sub(iat).ok_or(TokenError::Malformed)?;
    let over = now_s >= exp.saturating_add(LEEWAY_S);
    let not_yet = iat > now_s.saturating_add(LEEWAY_S);
    if over || not_yet || lifetime_s > lifetime_s_max {
        return Err(TokenError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
