//! The control channel's messages: JSON over WebSocket, tagged by `type` (docs/protocol.md).
//!
//! Keys travel as base64 of key and salt. Neither they nor other secrets are ever shown by `Debug`.

mod secret;

use crate::{Bitrate, Kind, Ssrc, StreamId};
use schemars::JsonSchema;
pub use secret::{Key, Secret};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The protocol's version, `v` in the first message either way.
pub const VERSION: u32 = 1;
/// The path of the control channel on the TLS port.
pub const PATH: &str = "/control";
/// ALPN of the control channel.
pub const ALPN_CONTROL: &[u8] = b"http/1.1";
/// ALPN of media inside TLS.
pub const ALPN_MEDIA: &[u8] = b"mmr-media/1";

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// First message of a new participant.
    Join {
        /// The protocol's version: 1.
        #[schemars(extend("const" = VERSION))]
        v: u32,
        /// The join token, at most 2048 bytes.
        #[schemars(length(max = 2048))]
        token: Secret,
    },
    /// First message of a participant whose channel dropped less than 30 s ago.
    Resume {
        /// The protocol's version: 1.
        #[schemars(extend("const" = VERSION))]
        v: u32,
        /// The secret `joined` gave.
        session: Secret,
    },
    /// Asks for a link of this kind; answered by `link`.
    Connect {
        /// Which.
        kind: Kind,
    },
    /// Publishes a stream over the link of its kind; answered by `published`.
    Publish {
        /// One stream a kind.
        kind: Kind,
        /// Lowest layer first.
        #[schemars(length(min = 1, max = 8))]
        layers: Vec<LayerOffer>,
    },
    /// Ends a stream of one's own.
    Unpublish {
        /// Which.
        stream: StreamId,
    },
    /// Asks for a stream; again with another `max_layer` to change it. Answered by `subscribed`.
    Subscribe {
        /// Which.
        stream: StreamId,
        /// Highest layer wanted, from 0; the highest there is when larger.
        max_layer: u8,
    },
    /// Ends a subscription.
    Unsubscribe {
        /// Which.
        stream: StreamId,
    },
    /// Leaves the meeting; the MMR closes the channel.
    Leave,
}

/// What the MMR says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// Answers `join` and `resume`.
    Joined {
        /// The protocol's version: 1.
        #[schemars(extend("const" = VERSION))]
        v: u32,
        /// One's own name, from the token.
        participant: String,
        /// The secret to resume with; new each time.
        session: Secret,
        /// Everybody else in the meeting.
        roster: Vec<String>,
        /// What this MMR allows.
        limits: Limits,
    },
    /// Answers `connect`: what a link is bound with.
    Link {
        /// Which.
        kind: Kind,
        /// The MMR's ICE user fragment.
        ufrag: String,
        /// The ICE password, for both directions.
        password: Secret,
        /// Keys of the link's RTCP.
        srtcp_keys: SrtcpKeys,
        /// Where to connect.
        addresses: Addresses,
    },
    /// Answers `publish`.
    Published {
        /// The new stream.
        stream: StreamId,
        /// Its kind.
        kind: Kind,
        /// One per layer, in the order offered.
        ssrcs: Vec<Ssrc>,
    },
    /// Answers `subscribe`, and tells when the layer that is sent changes.
    Subscribed {
        /// Which.
        stream: StreamId,
        /// The layer on its way.
        layer: u8,
        /// Rollover counter of that layer now (RFC 3711 §3.3.1).
        roc: u32,
    },
    /// Somebody came.
    ParticipantJoined {
        /// Who.
        participant: String,
    },
    /// Somebody went.
    ParticipantLeft {
        /// Who.
        participant: String,
    },
    /// A stream one may subscribe to.
    StreamAdded {
        /// Which.
        stream: StreamId,
        /// Whose.
        participant: String,
        /// Its kind.
        kind: Kind,
        /// Lowest first.
        layers: Vec<LayerInfo>,
    },
    /// A stream that ended; subscriptions to it are gone.
    StreamRemoved {
        /// Which.
        stream: StreamId,
    },
    /// Who speaks; not repeated while it stays the same.
    ActiveSpeaker {
        /// Who.
        participant: String,
    },
    /// This MMR goes away: move to another before the deadline.
    Draining {
        /// Seconds from now.
        deadline_s: u64,
    },
    /// A request that was refused. The channel stays open unless the first message was refused.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, no known `type`, wrong fields, or too large.
    BadMessage,
    /// Well formed but not now: a first message that is not `join` or `resume`, or a second `join`.
    OutOfOrder,
    /// Another protocol version.
    BadVersion,
    /// Forged, of another zone, of an unknown key, or not a token at all.
    BadToken,
    /// The token's time is over (or its lifetime too long).
    TokenExpired,
    /// The token was used before.
    TokenUsed,
    /// The session to resume is unknown or over.
    UnknownSession,
    /// The participant is in the meeting already.
    AlreadyJoined,
    /// The token's role or kinds do not allow it.
    NotAllowed,
    /// `publish` or `subscribe` before `connect` of its kind.
    NoLink,
    /// A stream of that kind is published already.
    AlreadyPublished,
    /// No such stream in this meeting.
    UnknownStream,
    /// A limit of this MMR; the message names it.
    LimitReached,
    /// New participants are turned away: the MMR is draining.
    Draining,
}

/// One layer as its publisher offers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerOffer {
    /// Which codec.
    pub codec: Codec,
    /// RTP payload type, 96 to 127.
    #[schemars(range(min = 96, max = 127))]
    pub payload_type: u8,
    /// What the layer never exceeds for long; enforced.
    pub max_bitrate: Bitrate,
    /// The publisher's SRTP master key of this layer.
    pub key: Key,
}

/// One layer as its subscribers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayerInfo {
    /// Its label.
    pub ssrc: Ssrc,
    /// Which codec.
    pub codec: Codec,
    /// RTP payload type.
    pub payload_type: u8,
    /// What it never exceeds for long.
    pub max_bitrate: Bitrate,
    /// The publisher's SRTP master key of this layer.
    pub key: Key,
    /// Rollover counter now.
    pub roc: u32,
}

/// Codecs a native client can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 7587, clock 48 kHz.
    Opus,
    /// RFC 7741, clock 90 kHz.
    Vp8,
    /// AOMedia's RTP payload format, clock 90 kHz.
    Av1,
}

/// SRTCP keys of one link (AEAD_AES_128_GCM), by sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SrtcpKeys {
    /// Protects what the client sends.
    pub client: Key,
    /// Protects what the MMR sends.
    pub mmr: Key,
}

/// Where a link can be bound, best first; empty where that transport is off. Each is
/// `192.0.2.1:8801` or `[2001:db8::1]:8801`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Addresses {
    /// Datagrams.
    pub udp: Vec<SocketAddr>,
    /// RFC 4571 over TCP.
    pub tcp: Vec<SocketAddr>,
    /// RFC 4571 inside TLS.
    pub tls: Vec<SocketAddr>,
}

/// What an MMR allows a participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Layers a stream may have.
    pub layers: u32,
    /// Streams a participant may subscribe to at once.
    pub subscriptions: u32,
    /// Highest `max_bitrate` of a layer.
    pub max_bitrate: Bitrate,
    /// Largest packet, in bytes.
    pub packet_len: u32,
    /// Largest control message, in bytes.
    pub message_len: u32,
    /// How often a link must prove consent, in seconds.
    pub consent_interval_s: u32,
    /// After how long without consent nothing more is sent, in seconds.
    pub consent_timeout_s: u32,
    /// How long a participant whose channel dropped may resume, in seconds.
    pub resume_s: u32,
}

#[cfg(test)]
mod tests;
