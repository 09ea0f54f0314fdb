//! Secrets in control messages: whole on the wire, never in `Debug`.

use crate::srtp::MasterKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A token, a password, a session to resume: a string that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl std::ops::Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

/// A master key on the control channel: base64 (RFC 4648 §4, padded) of 16 bytes key and 12 bytes
/// salt.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub MasterKey);

/// Key and salt.
const KEY_LEN: usize = 16 + 12;

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0; KEY_LEN];
        bytes[..16].copy_from_slice(&self.0.key);
        bytes[16..].copy_from_slice(&self.0.salt);
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        // The error says what was expected and nothing of what came: it may be half a key.
        parse(&text).ok_or_else(|| D::Error::custom("a key is base64 of 28 bytes"))
    }
}

fn parse(text: &str) -> Option<Key> {
    let mut bytes = [0; KEY_LEN + 2];
    // The decoder wants room for all its input could be, checked before it looks at the padding.
    let len = STANDARD.decode_slice(text, &mut bytes).ok()?;
    let (key, rest) = bytes[..len].split_first_chunk()?;
    Some(Key(MasterKey { key: *key, salt: rest.try_into().ok()? }))
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "AEAD_AES_128_GCM master key: base64 of 16 bytes key and 12 bytes salt.",
            "type": "string",
            "contentEncoding": "base64",
            "pattern": "^[A-Za-z0-9+/]{37}[AQgw]==$"
        })
    }
}
