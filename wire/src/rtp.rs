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

/// RFC 8285 §4.2: the "defined by profile" value of one-byte header extensions.
const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// The fixed part of the header (RFC 3550 §5.1).
const FIXED_LEN: usize = 12;

/// A well-formed RTP packet, borrowed.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
/// |                           timestamp                           |
/// |                             SSRC                              |
/// |                        CSRC, CC times                         |
/// |       profile, if X           |    length in 32-bit words     |
/// |                     extension elements                        |
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    /// Where the CSRC list ends.
    fixed_len: usize,
    /// Where the extension ends; equals `fixed_len` without one.
    header_len: usize,
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
    /// Checks version, CSRC list and extension length. Padding is checked by [`Packet::payload`]:
    /// its length stands in the last byte, which is encrypted as long as the packet is. Borrows;
    /// never panics.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let first = *bytes.first().ok_or(Malformed)?;
        if first >> 6 != 2 {
            return Err(Malformed);
        }
        let fixed_len = FIXED_LEN + 4 * usize::from(first & 0x0f);
        let mut header_len = fixed_len;
        if first & 0x10 != 0 {
            let words = bytes.get(fixed_len + 2..fixed_len + 4).ok_or(Malformed)?;
            header_len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if bytes.len() < header_len {
            return Err(Malformed);
        }
        Ok(Self { bytes, fixed_len, header_len })
    }

    /// The whole packet.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Marker bit.
    pub const fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// 7-bit payload type.
    pub const fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// Sequence number.
    pub const fn seq(&self) -> Seq {
        Seq(u16::from_be_bytes([self.bytes[2], self.bytes[3]]))
    }

    /// Media timestamp, in the codec's clock.
    pub const fn timestamp(&self) -> u32 {
        self.word(4)
    }

    /// The layer's label.
    pub const fn ssrc(&self) -> Ssrc {
        Ssrc(self.word(8))
    }

    /// Length of the header with CSRCs and extensions, in bytes; what SRTP leaves in clear.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Everything after the header, padding removed when the P bit is set (call on decrypted
    /// packets only).
    pub fn payload(&self) -> Result<&'a [u8], Malformed> {
        let padded = &self.bytes[self.header_len..];
        if self.bytes[0] & 0x20 == 0 {
            return Ok(padded);
        }
        // RFC 3550 §5.1: the last byte counts the padding, itself included, so 0 is wrong.
        match padded.last() {
            Some(&count) if count > 0 => {
                padded.len().checked_sub(usize::from(count)).map(|len| &padded[..len])
            }
            _ => None,
        }
        .ok_or(Malformed)
    }

    /// The data of one extension element (RFC 8285 one-byte form); the first with this id.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|(found, _)| *found == id).map(|(_, data)| data)
    }

    /// Extension 1, if present and well formed.
    pub fn audio_level(&self) -> Option<AudioLevel> {
        match self.extension(extension::AUDIO_LEVEL)? {
            [byte] => Some(AudioLevel { voice: byte & 0x80 != 0, level: byte & 0x7f }),
            _ => None,
        }
    }

    /// Extension 2, if present and well formed.
    pub fn frame_marking(&self) -> Option<FrameMarking> {
        // RFC 9626 §3: one byte for streams without layers of their own, two or three with; the
        // first is the same.
        match self.extension(extension::FRAME_MARKING)? {
            [byte] | [byte, _] | [byte, _, _] => Some(FrameMarking {
                start: byte & 0x80 != 0,
                end: byte & 0x40 != 0,
                independent: byte & 0x20 != 0,
                discardable: byte & 0x10 != 0,
            }),
            _ => None,
        }
    }

    /// Extension 3, if present: NTP time in 32.32 fixed point.
    pub fn capture_time(&self) -> Option<u64> {
        // The 16-byte form adds an estimated clock offset, which is not used here.
        let data = self.extension(extension::CAPTURE_TIME)?;
        match data.len() {
            8 | 16 => data.first_chunk().map(|time| u64::from_be_bytes(*time)),
            _ => None,
        }
    }

    const fn word(&self, offset: usize) -> u32 {
        let bytes = self.bytes;
        u32::from_be_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
    }

    fn extensions(&self) -> Elements<'a> {
        match self.bytes[self.fixed_len..self.header_len].split_first_chunk() {
            Some((profile, rest)) if u16::from_be_bytes(*profile) == ONE_BYTE_PROFILE => {
                Elements { bytes: &rest[2..] }
            }
            _ => Elements { bytes: &[] },
        }
    }
}

/// Walks one-byte elements: id in the upper, length − 1 in the lower half of a byte, then the data.
struct Elements<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (head, rest) = self.bytes.split_first()?;
            match head >> 4 {
                // RFC 8285 §4.1.2: a zero byte is padding; §4.2: id 15 ends the list.
                0 if *head == 0 => self.bytes = rest,
                0 | 15 => return None,
                id => {
                    let (data, behind) = rest.split_at_checked(usize::from(head & 0x0f) + 1)?;
                    self.bytes = behind;
                    return Some((id, data));
                }
            }
        }
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
    pub fn write(&self, out: &mut Vec<u8>) {
        let extended = self.audio_level.is_some()
            || self.frame_marking.is_some()
            || self.capture_time.is_some();
        out.push(if extended { 0x90 } else { 0x80 });
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if extended {
            self.write_extensions(out);
        }
    }

    fn write_extensions(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&ONE_BYTE_PROFILE.to_be_bytes());
        let words_at = out.len();
        out.extend_from_slice(&[0, 0]);
        if let Some(AudioLevel { voice, level }) = self.audio_level {
            out.extend_from_slice(&[
                extension::AUDIO_LEVEL << 4,
                u8::from(voice) << 7 | level & 0x7f,
            ]);
        }
        if let Some(marking) = self.frame_marking {
            out.extend_from_slice(&[extension::FRAME_MARKING << 4, marking.byte()]);
        }
        if let Some(time) = self.capture_time {
            out.push(extension::CAPTURE_TIME << 4 | 7);
            out.extend_from_slice(&time.to_be_bytes());
        }
        let elements_len = out.len() - words_at - 2;
        out.resize(words_at + 2 + elements_len.next_multiple_of(4), 0);
        // At most 13 bytes of elements: 4 words.
        out[words_at + 1] = u8::try_from(elements_len.div_ceil(4)).unwrap_or(u8::MAX);
    }
}

impl FrameMarking {
    const fn byte(self) -> u8 {
        (self.start as u8) << 7
            | (self.end as u8) << 6
            | (self.independent as u8) << 5
            | (self.discardable as u8) << 4
    }
}

#[cfg(test)]
mod tests;
