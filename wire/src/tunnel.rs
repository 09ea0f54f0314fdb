//! What an HTTP tunnel is asked: `CONNECT` (RFC 9110 §9.3.6) over TLS, and ping.
//!
//! A client names a zone controller or an MMR as its target, `host:port`, and shows its join token
//! (or, when that is over, its ticket) as `Proxy-Authorization: Bearer`. The answer is 200, and bytes
//! flow; or a [`Refusal`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET`: answers [`Pong`], as fast as the tunnel can.
pub const PING_PATH: &str = "/ping";

/// Answers [`PING_PATH`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pong {
    /// The zones it leads to, in no order.
    pub zones: Vec<String>,
}

/// Why a tunnel did not do what was asked.
pub type Refusal = crate::Refusal<RefusalCode>;

/// Why a tunnel did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The target is not `host:port`.
    BadRequest,
    /// No token, or one that is forged, of another zone, of an unknown key.
    BadToken,
    /// The token's time is over (or its lifetime too long).
    TokenExpired,
    /// The target is no controller or MMR of the token's zone.
    NotAllowed,
    /// The participant has as many tunnels as it may.
    TooMany,
    /// The participant has sent and received as much as it may.
    Spent,
    /// The participant, or this address, asks too often.
    TooFast,
    /// The target could not be reached.
    Unreachable,
    /// The tunnel has more to do than it can.
    Overloaded,
    /// The tunnel ends. Use another.
    Draining,
    /// Operators alone may ask this, and must prove who they are.
    Unauthorized,
    /// No such path.
    NotFound,
    /// Another method is wanted.
    MethodNotAllowed,
}

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::BadToken,
        Self::TokenExpired,
        Self::NotAllowed,
        Self::TooMany,
        Self::Spent,
        Self::TooFast,
        Self::Unreachable,
        Self::Overloaded,
        Self::Draining,
        Self::Unauthorized,
        Self::NotFound,
        Self::MethodNotAllowed,
    ];

    /// The HTTP status it comes with (RFC 9110 §15, RFC 6585).
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::NotAllowed | Self::Spent => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::BadToken | Self::TokenExpired => 407,
            Self::TooMany | Self::TooFast => 429,
            Self::Unreachable => 502,
            Self::Overloaded | Self::Draining => 503,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_name_and_a_status_of_an_error() {
        for code in RefusalCode::ALL {
            let name = serde_json::to_value(code).unwrap();
            assert!(name.as_str().unwrap().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!((400..600).contains(&code.status()), "{code:?}");
        }
    }

    #[test]
    fn is_read_as_it_is_written() {
        let refusal = Refusal::new(RefusalCode::NotAllowed, "m");
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(text, r#"{"code":"not_allowed","message":"m"}"#);
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
    }
}
