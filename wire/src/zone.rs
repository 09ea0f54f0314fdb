//! What a zone controller is asked by clients and operators: JSON over HTTPS.
//!
//! Not here: the reports the MMRs send about their load.

mod state;

use crate::control::Secret;
use crate::{Kind, MmrId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use state::{Drain, DrainWanted, MmrState, ZoneState};
use std::net::SocketAddr;

/// `POST` [`Assign`]: which MMR to join. Answers [`Assignment`].
pub const ASSIGN_PATH: &str = "/v1/assign";
/// `GET`: answers [`Pong`], as fast as the controller can.
pub const PING_PATH: &str = "/v1/ping";
/// `GET` with `?bytes=N`: answers that many bytes, to measure throughput with.
pub const DOWNLOAD_PATH: &str = "/v1/download";
/// `GET`, for operators: answers [`ZoneState`].
pub const ZONE_PATH: &str = "/v1/zone";

/// Largest request body the controller reads of clients and operators, in bytes.
pub const REQUEST_LEN_MAX: usize = 8 * 1024;
/// Most bytes of one [`DOWNLOAD_PATH`].
pub const DOWNLOAD_LEN_MAX: u32 = 1 << 20;
/// Longest a client is asked to wait before it tries again, in milliseconds.
pub const RETRY_AFTER_MS_MAX: u64 = 60_000;

const _: () = assert!(REQUEST_LEN_MAX > 2 * crate::limits::TOKEN_LEN_MAX);

/// Asks which MMR to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The meeting; the one the token is for.
    #[schemars(length(min = 1, max = 64))]
    pub meeting: String,
    /// The kinds the participant will connect, of those the token allows.
    #[schemars(length(min = 1, max = 3))]
    pub kinds: Vec<Kind>,
    /// The join token, which is used up by an [`Assignment`]; or, to ask again in the same meeting,
    /// the ticket of the last one.
    #[schemars(length(max = 2048))]
    pub token: Secret,
    /// Any words of the client's choice, best random: an answer that was lost is given again when
    /// the same token comes with the same words, from any controller of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub attempt: Option<Secret>,
    /// The MMR that could not be reached or went away. A hint: a meeting moves only when its MMR's
    /// reports say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<MmrId>,
}

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// Which MMR.
    pub mmr: MmrId,
    /// How often the meeting has been placed: an assignment with a smaller epoch than another of
    /// the same meeting is out of date.
    pub epoch: u64,
    /// Its control channel.
    pub control: ControlPoint,
    /// A join token for it, to be used once and within a minute.
    pub token: Secret,
    /// To ask again with, when the MMR drains or is lost; valid for hours.
    pub ticket: Secret,
}

/// Where an MMR's control channels are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlPoint {
    /// What the MMR's certificate must be for: a DNS name or an IP address.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// TLS addresses, best first, as `192.0.2.1:443` or `[2001:db8::1]:443`. Names need no lookup.
    #[schemars(length(min = 1, max = 16))]
    pub addresses: Vec<SocketAddr>,
}

/// Answers [`PING_PATH`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pong {
    /// The zone's name.
    pub zone: String,
    /// Whether a new meeting would find room now.
    pub room: bool,
}

/// Why something asked of a controller was not done.
pub type Refusal = crate::Refusal<RefusalCode>;

/// Why something asked of a controller was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Not the JSON that was expected, or a value out of its limits.
    BadRequest,
    /// Larger than this controller reads.
    TooLarge,
    /// Forged, of another zone, of an unknown key, or not a token at all.
    BadToken,
    /// The token's or ticket's time is over (or its lifetime too long).
    TokenExpired,
    /// The token was used before. Ask with the ticket.
    TokenUsed,
    /// The token is for another meeting, or does not allow these kinds.
    NotAllowed,
    /// The meeting's MMR has no room for another participant.
    MeetingFull,
    /// No MMR of the zone has room for another meeting.
    ZoneFull,
    /// No MMR of the zone is fit to take meetings.
    NoMmr,
    /// Too many ask for this meeting, this MMR, or from this address.
    TooFast,
    /// The controller has more to do than it can.
    Overloaded,
    /// The controller can't agree with the others now, or has just started.
    Unavailable,
    /// Operators and MMRs alone may ask this, and must prove who they are.
    Unauthorized,
    /// No such path, or no such MMR.
    NotFound,
    /// Another method is wanted.
    MethodNotAllowed,
    /// The request was not all there in time.
    TimedOut,
}

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::BadToken,
        Self::TokenExpired,
        Self::TokenUsed,
        Self::NotAllowed,
        Self::MeetingFull,
        Self::ZoneFull,
        Self::NoMmr,
        Self::TooFast,
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
            Self::BadToken | Self::TokenExpired | Self::TokenUsed | Self::Unauthorized => 401,
            Self::NotAllowed => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::TooLarge => 413,
            Self::TooFast => 429,
            Self::MeetingFull
            | Self::ZoneFull
            | Self::NoMmr
            | Self::Overloaded
            | Self::Unavailable => 503,
        }
    }
}

#[cfg(test)]
mod tests;
