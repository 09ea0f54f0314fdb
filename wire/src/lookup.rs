//! What the web infrastructure is asked by clients and operators: JSON over HTTPS.
//!
//! A client that has a meeting's number and passcode asks once, and knows then which zones it can
//! join the meeting in, which controllers to ask there, with which join token, and which HTTP tunnels
//! there are. When it has chosen a zone it settles: all participants of a meeting are in one zone.

use crate::control::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST` [`Lookup`]: answers [`Found`].
pub const LOOKUP_PATH: &str = "/v1/lookup";
/// `POST` without a body, with a zone's join token as `Authorization: Bearer`: answers [`Settled`].
pub const SETTLE_PATH: &str = "/v1/settle";
/// `GET`: the public keys of join tokens, as JWKS (RFC 7517).
pub const KEYS_PATH: &str = "/.well-known/jwks.json";
/// For operators. `POST` [`NewMeeting`]: answers [`Created`]. `GET`, with `?after=NUMBER`: answers
/// [`Meetings`]. `POST /v1/meetings/{number}/end`: answers nothing.
pub const MEETINGS_PATH: &str = "/v1/meetings";
/// What a meeting's link has between the web infrastructure's URL and the meeting's number. The
/// passcode is the link's fragment, which browsers send to nobody.
pub const LINK_PATH: &str = "/j/";

/// Largest request body that is read, in bytes.
pub const REQUEST_LEN_MAX: usize = 4 * 1024;
/// Digits of a meeting's number.
pub const NUMBER_LEN: usize = 11;
/// Shortest and longest passcode, in bytes.
pub const PASSCODE_LEN_MIN: usize = 6;
/// See [`PASSCODE_LEN_MIN`].
pub const PASSCODE_LEN_MAX: usize = 64;
/// Longest title of a meeting, in bytes.
pub const TITLE_LEN_MAX: usize = 200;
/// Longest name a participant may wish for, in bytes: there is something behind it in its token.
pub const WISH_LEN_MAX: usize = 48;
/// Most meetings in one [`Meetings`].
pub const MEETINGS_MAX: usize = 100;

/// Asks for a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Its number: 11 digits.
    #[schemars(regex(pattern = r"^[0-9]{11}$"))]
    pub meeting: String,
    /// Its passcode.
    #[schemars(length(min = 6, max = 64))]
    pub passcode: Secret,
    /// What the participant would like to be called: letters, digits, `.`, `_` and `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 48), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub name: Option<String>,
}

/// A meeting, and how to get in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Its number.
    pub meeting: String,
    /// Its title.
    pub title: String,
    /// What the participant is called in its tokens: the name it wished for with something behind it.
    pub participant: String,
    /// What `zones` are ordered by.
    pub order: Order,
    /// Where it can be joined, best first; at least one.
    #[schemars(length(min = 1, max = 256))]
    pub zones: Vec<ZoneOffer>,
    /// URLs of HTTP tunnels, for who reaches no controller.
    #[schemars(length(max = 64))]
    pub tunnels: Vec<String>,
}

/// What zones are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// How far they are from where the client's address is thought to be, the nearest first.
    Distance,
    /// As the operator lists them: nobody knows where the client is.
    Configured,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneOffer {
    /// Its name.
    pub zone: String,
    /// URLs of its controllers, those that answer if any does; best asked all at once.
    #[schemars(length(min = 1, max = 16))]
    pub controllers: Vec<String>,
    /// A join token for this zone, to be used once.
    pub token: Secret,
    /// Until when it is good, Unix seconds.
    pub token_until_s: u64,
    /// How far it is, when `order` is `distance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_km: Option<u32>,
}

/// Where a meeting is.
///
/// A meeting is in one zone: otherwise people who find different zones best would not meet. A client
/// that has chosen a zone settles with that zone's token before it asks there for an MMR, and goes
/// where it is told. The token is not used up by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// The zone of the token, when the meeting was nowhere; else the zone where it is. A client that
    /// was not offered this zone looks the meeting up again.
    #[schemars(length(min = 1, max = 64))]
    pub zone: String,
}

/// Asks for a new meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMeeting {
    /// For people.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// A passcode of the operator's choice: letters, digits, `.`, `_` and `-`. Without, one is made
    /// that nobody guesses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 6, max = 64), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub passcode: Option<Secret>,
}

/// A new meeting. Its passcode is told here and never again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// Its number.
    pub meeting: String,
    /// Its passcode.
    pub passcode: Secret,
    /// What to give to participants: it has both.
    pub link: Secret,
}

/// Meetings, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Meetings {
    /// At most 100.
    #[schemars(length(max = 100))]
    pub meetings: Vec<MeetingState>,
    /// What to ask for as `?after=` to see more; absent when these are the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A meeting, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingState {
    /// Its number.
    pub meeting: String,
    /// Its title.
    pub title: String,
    /// When it was created, Unix seconds.
    pub created_s: u64,
    /// When it was ended: nobody can look it up since then. Who is in it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_s: Option<u64>,
}

/// Why something asked of the web infrastructure was not done.
pub type Refusal = crate::Refusal<RefusalCode>;

/// Why something asked of the web infrastructure was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Not the JSON that was expected, or a value out of its limits.
    BadRequest,
    /// Larger than is read.
    TooLarge,
    /// There is no such meeting, or it has ended, or it has another passcode: nobody is told which.
    NoSuchMeeting,
    /// No join token of a meeting's zone: none was sent, or it is forged, of an unknown key, or of a
    /// zone that is not here.
    BadToken,
    /// The token's time is over (or its lifetime too long): the meeting must be looked up again.
    TokenExpired,
    /// Too many wrong passcodes for this meeting or from this address, or too many requests.
    TooFast,
    /// No zone can be joined now.
    NoZone,
    /// More is asked than can be checked at once.
    Overloaded,
    /// The meetings can't be read or written now.
    Unavailable,
    /// Operators alone may ask this, and must prove who they are.
    Unauthorized,
    /// No such path.
    NotFound,
    /// Another method is wanted.
    MethodNotAllowed,
    /// The request was not all there in time.
    TimedOut,
}

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::NoSuchMeeting,
        Self::BadToken,
        Self::TokenExpired,
        Self::TooFast,
        Self::NoZone,
        Self::Overloaded,
        Self::Unavailable,
        Self::Unauthorized,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TimedOut,
    ];

    /// The HTTP status it comes with (RFC 9110 §15, RFC 6585).
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::BadToken | Self::TokenExpired | Self::Unauthorized => 401,
            Self::NoSuchMeeting => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::TooLarge => 413,
            Self::TooFast => 429,
            Self::NoZone | Self::Overloaded | Self::Unavailable => 503,
        }
    }
}

/// Whether this can be a meeting's number.
pub fn is_number(text: &str) -> bool {
    text.len() == NUMBER_LEN && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is made of letters, digits, `.`, `_` and `-`: it is the same in a link, in a log,
/// and read aloud.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

const _: () = assert!(WISH_LEN_MAX + 16 <= crate::limits::NAME_LEN_MAX);
const _: () = assert!(TITLE_LEN_MAX * 6 + PASSCODE_LEN_MAX + 64 < REQUEST_LEN_MAX);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lookup_is_read_and_its_passcode_never_shown() {
        let text = json!({ "meeting": "01234567890", "passcode": "open.sesame" });
        let lookup: Lookup = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&lookup).unwrap(), text);
        assert!(!format!("{lookup:?}").contains("sesame"));
        let unknown = json!({ "meeting": "m", "passcode": "p", "role": "host" });
        assert!(serde_json::from_value::<Lookup>(unknown).is_err());
    }

    #[test]
    fn every_refusal_has_a_name_and_a_status_of_an_error() {
        for code in RefusalCode::ALL {
            let name = serde_json::to_value(code).unwrap();
            assert!(name.as_str().unwrap().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!((400..600).contains(&code.status()), "{code:?}");
        }
    }

    #[test]
    fn numbers_are_eleven_digits() {
        assert!(is_number("01234567890"));
        for wrong in ["", "0123456789", "012345678901", "0123456789a", "٠١٢٣٤٥٦٧٨٩٠"] {
            assert!(!is_number(wrong), "{wrong}");
        }
        assert!(is_plain("a.B_9-") && !is_plain("a b") && !is_plain("é") && !is_plain("a/b"));
    }
}
