//! DSCP marks per kind (RFC 2474, RFC 8837) and their presets.

use crate::Kind;

/// A differentiated services code point, 0..=63 (RFC 2474 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Dscp(u8);

impl Dscp {
    /// A code point; `None` above 63.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 64 { Some(Self(value)) } else { None }
    }

    /// The code point, 0..=63.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// The byte as it stands in the IPv4 TOS and IPv6 traffic class fields: ECN bits zero.
    pub const fn traffic_class(self) -> u8 {
        self.0 << 2
    }
}

/// The mark of each kind and of everything that is not media of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Audio links: media, RTCP and STUN alike.
    pub audio: Dscp,
    /// Video links.
    pub video: Dscp,
    /// Content links.
    pub content: Dscp,
    /// Control channels, and connections whose kind is not known yet.
    pub control: Dscp,
}

impl Marks {
    /// RFC 8837 table 1, medium priority.
    pub const DEFAULT: Self =
        Self { audio: Dscp(46), video: Dscp(36), content: Dscp(36), control: Dscp(24) };
    /// The values networks configured for Zoom expect.
    pub const ZOOM: Self =
        Self { audio: Dscp(56), video: Dscp(40), content: Dscp(40), control: Dscp(24) };
    /// Nothing is marked.
    pub const OFF: Self =
        Self { audio: Dscp(0), video: Dscp(0), content: Dscp(0), control: Dscp(0) };

    /// The mark of a link of this kind.
    pub const fn of(&self, kind: Kind) -> Dscp {
        match kind {
            Kind::Audio => self.audio,
            Kind::Video => self.video,
            Kind::Content => self.content,
        }
    }
}
