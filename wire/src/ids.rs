//! Names and numbers the whole system shares: kinds, SSRCs, sequence numbers, bitrates.

use crate::limits::NAME_LEN_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a medium is. Decides the DSCP mark and what is shed first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Speech; sent first.
    Audio,
    /// A camera; shed first.
    Video,
    /// A shared screen; sent after audio and before video.
    Content,
}

impl Kind {
    /// Every kind, in the order of [`Kind::index`].
    pub const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Content];

    /// A dense index from 0 for tables with one entry a kind.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name on the wire and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Content => "content",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How a link's packets travel.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Plain datagrams on the media port.
    Udp,
    /// RFC 4571 frames over TCP on the media port.
    Tcp,
    /// RFC 4571 frames inside TLS 1.3 on the TLS port.
    Tls,
}

impl Transport {
    /// Every transport, in the order a client tries them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// The name on the wire and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// An RTP synchronization source (RFC 3550 §3): the label of one layer, unique within its meeting.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Ssrc(pub u32);

/// An RTP sequence number (RFC 3550 §5.1); compares only by [`Seq::distance_from`], as it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seq(pub u16);

impl Seq {
    /// How far `self` lies after `other`, negative when before: −32768..=32767.
    pub const fn distance_from(self, other: Self) -> i16 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// The sequence number `count` later.
    #[must_use]
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

/// One participant's media of one kind; unique within an MMR's run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StreamId(pub u32);

/// Bits per second.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Bitrate(pub u32);

/// An MMR's name within its zone: 1 to 64 of `A-Z a-z 0-9 . _ -`, as it stands in paths and labels.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Za-z0-9._-]{1,64}$"))]
pub struct MmrId(String);

impl MmrId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name that no MMR can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an MMR's name has 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct BadMmrId;

impl TryFrom<String> for MmrId {
    type Error = BadMmrId;

    fn try_from(name: String) -> Result<Self, BadMmrId> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let good = (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(fits);
        if good { Ok(Self(name)) } else { Err(BadMmrId) }
    }
}

impl From<MmrId> for String {
    fn from(id: MmrId) -> Self {
        id.0
    }
}

impl std::fmt::Display for MmrId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
