//! RTP payload formats: frames into packets and back (RFC 7587, RFC 7741, AOMedia's AV1 format).
//!
//! A frame's packets are equally long but for the last, so that they travel as one train: the kernel cuts
//! and merges only equal datagrams (UDP GSO and GRO).

mod av1;
mod vp8;

use crate::media::{Frame, is_av1_keyframe, is_vp8_keyframe};
use bytes::Bytes;
use wire::control::Codec;

/// What one RTP packet carries of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The payload behind the RTP header.
    pub bytes: Vec<u8>,
    /// The RTP marker bit: the last packet of a video frame, the first of a talk spurt.
    pub marker: bool,
}

/// A frame that does not fit its payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Opus packets cannot be cut (RFC 7587 §4.2).
    #[error("an Opus packet of {0} bytes does not fit one datagram; encode with 20 ms frames")]
    TooLarge(usize),
    /// A temporal unit that is not a sequence of OBUs.
    #[error("an AV1 frame that is no sequence of OBUs; make the file anew")]
    NotObus,
}

/// Cuts the frames of one layer into payloads.
#[derive(Clone, Debug)]
pub struct Packetizer {
    codec: Codec,
    picture_id: u16,
    talking: bool,
}

impl Packetizer {
    /// Of one codec.
    pub fn new(codec: Codec) -> Self {
        Self { codec, picture_id: 0, talking: false }
    }

    /// At least one payload, each at most `len_max` bytes, all but the last exactly `len_max`.
    pub fn cut(&mut self, frame: &Frame, len_max: usize) -> Result<Vec<Payload>, PayloadError> {
        match self.codec {
            Codec::Opus if frame.data.len() > len_max => {
                Err(PayloadError::TooLarge(frame.data.len()))
            }
            Codec::Opus => {
                // RFC 7587 §4.1: the marker tells the start of a talk spurt.
                let marker = !std::mem::replace(&mut self.talking, true);
                Ok(vec![Payload { bytes: frame.data.to_vec(), marker }])
            }
            Codec::Vp8 => {
                self.picture_id = self.picture_id.wrapping_add(1) & vp8::PICTURE_ID_MAX;
                Ok(vp8::cut(&frame.data, self.picture_id, len_max))
            }
            Codec::Av1 => av1::cut(frame, len_max),
        }
    }
}

/// One received packet, its numbers already unwrapped.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The sequence number with its cycles.
    pub index: u64,
    /// The timestamp with its cycles.
    pub timestamp: u64,
    /// Marker bit.
    pub marker: bool,
    /// Whether a frame starts here, if a frame marking says so.
    pub start: Option<bool>,
    /// Payload behind the RTP header.
    pub payload: &'a [u8],
}

/// Puts frames of one layer together from its packets, given in order. Frames that miss a packet are left out.
#[derive(Debug)]
pub struct Depacketizer {
    codec: Codec,
    assembly: Option<Assembly>,
    /// Of the last packet, and whether a frame ended there.
    previous: Option<(u64, bool)>,
    incomplete: u64,
    /// The frame last counted as incomplete.
    incomplete_timestamp: Option<u64>,
}

/// A frame that is being put together.
#[derive(Debug)]
struct Assembly {
    timestamp: u64,
    data: Vec<u8>,
    /// AV1: an OBU that continues in the next packet.
    fragment: Vec<u8>,
}

impl Depacketizer {
    /// Of one codec.
    pub fn new(codec: Codec) -> Self {
        Self { codec, assembly: None, previous: None, incomplete: 0, incomplete_timestamp: None }
    }

    /// Frames that some packets arrived of, but not all.
    pub fn incomplete(&self) -> u64 {
        self.incomplete
    }

    /// Takes the next packet; gives the frame that it completes.
    pub fn receive(&mut self, piece: Piece<'_>) -> Option<Frame> {
        if self.codec == Codec::Opus {
            let data = Bytes::copy_from_slice(piece.payload);
            let whole = !data.is_empty();
            return whole.then_some(Frame { timestamp: piece.timestamp, keyframe: true, data });
        }
        let previous = self.previous.replace((piece.index, piece.marker));
        let follows = previous.is_some_and(|(index, _)| index + 1 == piece.index);
        let after_marker = follows && previous.is_some_and(|(_, marker)| marker);
        let appended = match self.codec {
            Codec::Vp8 => self.receive_vp8(&piece, follows),
            _ => self.receive_av1(&piece, follows, after_marker),
        };
        if appended.is_none() {
            self.give_up(piece.timestamp);
        }
        let whole = appended.is_some() && piece.marker;
        let assembly = if whole { self.assembly.take() } else { None };
        assembly.and_then(|assembly| self.finish(assembly))
    }

    fn receive_vp8(&mut self, piece: &Piece<'_>, follows: bool) -> Option<()> {
        let (starts, data) = vp8::parse(piece.payload)?;
        let assembly = self.assembly_for(piece, follows, starts)?;
        assembly.data.extend_from_slice(data);
        Some(())
    }

    fn receive_av1(&mut self, piece: &Piece<'_>, follows: bool, after_marker: bool) -> Option<()> {
        let aggregate = av1::Aggregate::parse(piece.payload)?;
        let known = piece.start.unwrap_or(after_marker || aggregate.starts_sequence);
        let starts = known && !aggregate.continues;
        let assembly = self.assembly_for(piece, follows, starts)?;
        aggregate.append(&mut assembly.data, &mut assembly.fragment)
    }

    /// The assembly this packet belongs to: a new one, or the present one if nothing is missing in between.
    fn assembly_for(
        &mut self,
        piece: &Piece<'_>,
        follows: bool,
        starts: bool,
    ) -> Option<&mut Assembly> {
        if starts {
            if let Some(unfinished) = self.assembly.take() {
                self.give_up(unfinished.timestamp);
            }
            let (timestamp, data) = (piece.timestamp, Vec::new());
            return Some(self.assembly.insert(Assembly { timestamp, data, fragment: Vec::new() }));
        }
        self.assembly.as_mut().filter(|one| follows && one.timestamp == piece.timestamp)
    }

    fn give_up(&mut self, timestamp: u64) {
        let unfinished = self.assembly.take().map(|assembly| assembly.timestamp);
        for timestamp in unfinished.into_iter().chain([timestamp]) {
            if self.incomplete_timestamp.replace(timestamp) != Some(timestamp) {
                self.incomplete += 1;
            }
        }
    }

    fn finish(&mut self, assembly: Assembly) -> Option<Frame> {
        if !assembly.fragment.is_empty() {
            self.give_up(assembly.timestamp);
            return None;
        }
        let data = Bytes::from(assembly.data);
        let keyframe = match self.codec {
            Codec::Vp8 => is_vp8_keyframe(&data),
            _ => is_av1_keyframe(&data),
        };
        Some(Frame { timestamp: assembly.timestamp, keyframe, data })
    }
}

#[cfg(test)]
mod tests;
