//! The keys behind tokens: an Ed25519 key that signs, and the zone's public ones by `kid`.

use super::{Claims, TICKET_TYPE, Ticket};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not PEM, not PKCS#8, not Ed25519, or encrypted.
    #[error(
        "not an Ed25519 private key in unencrypted PKCS#8 PEM; \
         `openssl genpkey -algorithm ed25519` makes one"
    )]
    NotPrivate,
    /// Not a JSON document of this form.
    #[error("not a JWK set (RFC 7517): {0}")]
    NotJwks(String),
    /// A set without keys lets nobody in.
    #[error("the JWK set has no key")]
    Empty,
    /// A key nobody could name.
    #[error("a key of the JWK set has no `kid`")]
    Unnamed,
    /// Two keys of one name.
    #[error("the JWK set has more than one key with `kid` {0:?}")]
    Duplicate(String),
    /// Another kind of key.
    #[error("the key with `kid` {0:?} is not an Ed25519 public key (`kty` OKP, `crv` Ed25519)")]
    NotEd25519(String),
}

/// Signs tokens: `mmr dev`, `mmr token`, zone controllers, the web infrastructure. `Debug` never shows
/// the key.
pub struct Signer {
    pair: Ed25519KeyPair,
    kid: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Signer {
    /// A new random key; `kid` is its RFC 7638 thumbprint.
    pub fn generate() -> Self {
        Self::new(Ed25519KeyPair::generate().expect("the system has randomness"))
    }

    /// From a PKCS#8 PEM private key, as `openssl genpkey -algorithm ed25519` makes it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| KeyError::NotPrivate)?;
        // PKCS#8 version 1 has no public key that could be checked against the private one.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes())
            .map(Self::new)
            .map_err(|_| KeyError::NotPrivate)
    }

    /// PKCS#8 PEM, for a file only its owner may read.
    pub fn private_pem(&self) -> String {
        let der = self.pair.to_pkcs8v1().expect("a key that was made can be written");
        // One Ed25519 key is 64 characters of base64: exactly one line (RFC 7468 §2).
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    /// The public key as JWKS with one key (RFC 7517, RFC 8037).
    pub fn public_jwks(&self) -> String {
        public_jwks([self])
    }

    /// What the key is called in the tokens it signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    fn public_jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": self.kid, "x": public_text(&self.pair),
        })
    }

    /// Signs.
    pub fn sign(&self, claims: &Claims) -> String {
        self.sign_as("JWT", claims)
    }

    /// Signs a ticket.
    pub fn sign_ticket(&self, ticket: &Ticket) -> String {
        self.sign_as(TICKET_TYPE, ticket)
    }

    fn sign_as(&self, typ: &str, claims: &impl Serialize) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        // RFC 7515 §7.1. By hand, since jsonwebtoken reads its key, and makes the public one of it, at each
        // signature: that costs as much again.
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn new(pair: Ed25519KeyPair) -> Self {
        Self { kid: thumbprint(&public_text(&pair)), pair }
    }
}

fn part(json: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).expect("header and claims are plain JSON"))
}

/// The public keys of several signers as one JWKS.
pub fn public_jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    let keys: Vec<_> = signers.into_iter().map(Signer::public_jwk).collect();
    serde_json::json!({ "keys": keys }).to_string()
}

fn public_text(pair: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(pair.public_key())
}

/// RFC 7638 §3 with the members of RFC 8037 §2: in this order, without white space.
pub(super) fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

/// Public keys by their `kid`, of one source or of several. With none at all nobody is let in.
#[derive(Clone, Default)]
pub struct PublicKeys(BTreeMap<String, DecodingKey>);

impl PublicKeys {
    /// From a JWKS document (RFC 7517); keys that are not Ed25519 or have no `kid` of their own are
    /// refused, and so is a document without keys.
    pub fn from_jwks(jwks: &str) -> Result<Self, KeyError> {
        let set: JwkSet =
            serde_json::from_str(jwks).map_err(|error| KeyError::NotJwks(error.to_string()))?;
        let mut keys = BTreeMap::new();
        for jwk in &set.keys {
            let kid = jwk.common.key_id.clone().ok_or(KeyError::Unnamed)?;
            let key = ed25519(jwk).ok_or_else(|| KeyError::NotEd25519(kid.clone()))?;
            if keys.insert(kid.clone(), key).is_some() {
                return Err(KeyError::Duplicate(kid));
            }
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// From a JWKS document that others publish for many: keys of another kind, and those without a
    /// `kid`, are left out (RFC 7517 §5). At least one must be left.
    pub fn from_published(jwks: &str) -> Result<Self, KeyError> {
        let told = |error: serde_json::Error| KeyError::NotJwks(error.to_string());
        let mut set: serde_json::Value = serde_json::from_str(jwks).map_err(told)?;
        if let Some(keys) = set.get_mut("keys").and_then(serde_json::Value::as_array_mut) {
            keys.retain(|key| {
                key["kty"] == "OKP" && key["crv"] == "Ed25519" && key["kid"].is_string()
            });
        }
        Self::from_jwks(&set.to_string())
    }

    /// Takes another source's keys along. No source can replace a key of one before it.
    pub fn add(&mut self, other: &Self) {
        for (kid, key) in &other.0 {
            self.0.entry(kid.clone()).or_insert_with(|| key.clone());
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn named(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid)
    }
}

impl std::fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn ed25519(jwk: &Jwk) -> Option<DecodingKey> {
    match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(&key.x).ok()?.try_into().ok()?;
            Some(DecodingKey::from_ed_der(&bytes))
        }
        _ => None,
    }
}
