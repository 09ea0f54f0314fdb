//! RTP packets (RFC 3550 §5.1) and their one-byte header extensions (RFC 8285 §4.2).

use crate::{Malformed, Seq, Ssrc};

/// Extension ids, fixed for native clients. In clear, also when the payload is encrypted.
pub mod extension {
    /// Client-to-mixer audio level (RFC 6464).
    pub const AUDIO_LEVEL: u8 = 1;
    /// Video frame marking (RFC 9626).
    pub const FRAME_MARKING: u8 = 2;
    /// When the frame was captured: NTP time, 64-bit fixed point (abs-capture-time).
    pub const CAPTURE_TIME: u8 = 3;
}

/// A well-formed RTP packet, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

/// RFC 6464: voice activity and level in −dBov (0 loudest, 127 silence).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The sender thinks this is speech.
    pub voice: bool,
    /// −dBov, 0..=127.
    pub level: u8,
}

/// RFC 9626 §3.1: where a packet stands in its frame, short form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMarking {
    /// First packet of a frame.
    pub start: bool,
    /// Last packet of a frame.
    pub end: bool,
    /// The frame can be decoded alone: a keyframe.
    pub independent: bool,
    /// No other frame refers to this one.
    pub discardable: bool,
}

impl<'a> Packet<'a> {
    /// Checks version, CSRC list, extension and padding lengths. Borrows; never panics.
    pub fn parse(_bytes: &'a [u8]) -> Result<Self, Malformed> {
        todo!()
    }
    /// The whole packet.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// Marker bit.
    pub fn marker(&self) -> bool {
        todo!()
    }
    /// 7-bit payload type.
    pub fn payload_type(&self) -> u8 {
        todo!()
    }
    /// Sequence number.
    pub fn seq(&self) -> Seq {
        todo!()
    }
    /// Media timestamp, in the codec's clock.
    pub fn timestamp(&self) -> u32 {
        todo!()
    }
    /// The layer's label.
    pub fn ssrc(&self) -> Ssrc {
        todo!()
    }
    /// Length of the header with CSRCs and extensions, in bytes; what SRTP leaves in clear.
    pub fn header_len(&self) -> usize {
        todo!()
    }
    /// Everything after the header, padding removed when the P bit is set (call on decrypted packets only).
    pub fn payload(&self) -> Result<&'a [u8], Malformed> {
        todo!()
    }
    /// The data of one extension element (RFC 8285 one-byte form).
    pub fn extension(&self, _id: u8) -> Option<&'a [u8]> {
        todo!()
    }
    /// Extension 1, if present and well formed.
    pub fn audio_level(&self) -> Option<AudioLevel> {
        todo!()
    }
    /// Extension 2, if present and well formed.
    pub fn frame_marking(&self) -> Option<FrameMarking> {
        todo!()
    }
    /// Extension 3, if present: NTP time in 32.32 fixed point.
    pub fn capture_time(&self) -> Option<u64> {
        todo!()
    }
}

/// The header of a packet to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Marker bit.
    pub marker: bool,
    /// 7-bit payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Media timestamp.
    pub timestamp: u32,
    /// The layer's label.
    pub ssrc: u32,
    /// Extension 1.
    pub audio_level: Option<AudioLevel>,
    /// Extension 2.
    pub frame_marking: Option<FrameMarking>,
    /// Extension 3.
    pub capture_time: Option<u64>,
}

impl Header {
    /// Appends the header, extensions included, to `out`.
    pub fn write(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}
