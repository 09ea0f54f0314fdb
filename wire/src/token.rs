//! Join tokens: JWT, EdDSA (Ed25519) only, at most 10 minutes, single use (design §4, RFC 7519, RFC 8037).

use crate::Kind;
use serde::{Deserialize, Serialize};

/// What a token grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The zone it is for.
    pub aud: String,
    /// The meeting.
    pub meeting: String,
    /// The participant: its name within the meeting.
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
    pub jti: String,
}

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Signs tokens: `mmr dev`, `mmr token`, and later the web infrastructure.
pub struct Signer {}

impl Signer {
    /// A new random key; `kid` is its RFC 7638 thumbprint.
    pub fn generate() -> Self {
        todo!()
    }
    /// From a PKCS#8 PEM private key.
    pub fn from_pem(_pem: &str) -> Result<Self, TokenError> {
        todo!()
    }
    /// PKCS#8 PEM, for a file only its owner may read.
    pub fn private_pem(&self) -> String {
        todo!()
    }
    /// The public key as JWKS with one key (RFC 7517, RFC 8037).
    pub fn public_jwks(&self) -> String {
        todo!()
    }
    /// Signs.
    pub fn sign(&self, _claims: &Claims) -> String {
        todo!()
    }
}

/// Checks tokens against the zone's public keys. Single use is the caller's to keep, by `jti`.
pub struct Verifier {}

impl Verifier {
    /// From a JWKS document; keys that are not Ed25519 or have no `kid` are refused.
    pub fn from_jwks(_zone: &str, _jwks: &str) -> Result<Self, TokenError> {
        todo!()
    }
    /// Size first, then header, then signature, audience and times (Unix seconds, 5 s of leeway).
    pub fn verify(&self, _token: &str, _now_s: u64) -> Result<Claims, TokenError> {
        todo!()
    }
}
