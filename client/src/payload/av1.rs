//! AV1 over RTP (AOMedia, "RTP Payload Format For AV1" §4.4): OBUs behind an aggregation header.
//!
//! ```text
//!  aggregation header  Z Y W W N - - -
//!    Z: the first element continues an OBU of the packet before   Y: the last one goes on in the next packet
//!    W: elements, the last without its length; 0: each has one    N: a coded video sequence starts
//! ```
//!
//! Temporal delimiters stay at home (§5) and come back at the receiver, as do the OBUs' own size fields. An
//! OBU whose size field is not in its shortest form travels with it, so that a frame arrives byte for byte.

use super::{Payload, PayloadError};
use crate::media::Frame;
use crate::media::bits::{leb128_len, read_leb128, write_leb128};

const CONTINUES: u8 = 0x80;
const CONTINUED: u8 = 0x40;
const SEQUENCE_START: u8 = 0x08;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
/// A temporal delimiter with its (empty) size field.
const DELIMITER: [u8; 2] = [0x12, 0x00];

/// Cuts one temporal unit.
pub(super) fn cut(frame: &Frame, len_max: usize) -> Result<Vec<Payload>, PayloadError> {
    let elements = elements(&frame.data)?;
    let mut cutter = Cutter::new(len_max);
    for element in &elements {
        cutter.push(element);
    }
    Ok(cutter.finish(frame.keyframe))
}

/// The OBUs of a temporal unit as they travel: without the delimiter in front and without size fields.
fn elements(mut unit: &[u8]) -> Result<Vec<Vec<u8>>, PayloadError> {
    unit = unit.strip_prefix(&DELIMITER).unwrap_or(unit);
    let mut elements = Vec::new();
    while let Some(&header) = unit.first() {
        let header_len = 1 + usize::from(header & EXTENSION != 0);
        if header & HAS_SIZE == 0 {
            // Allowed for the last OBU alone (AV1 specification §5.3.1).
            elements.push(unit.to_vec());
            break;
        }
        let (size, size_len) =
            unit.get(header_len..).and_then(read_leb128).ok_or(PayloadError::NotObus)?;
        let size = usize::try_from(size).map_err(|_| PayloadError::NotObus)?;
        let body = header_len + size_len;
        let end = body.checked_add(size).ok_or(PayloadError::NotObus)?;
        let obu = unit.get(..end).ok_or(PayloadError::NotObus)?;
        let mut element = obu.to_vec();
        if size_len == leb128_len(size) {
            element[0] &= !HAS_SIZE;
            element.drain(header_len..body);
        }
        elements.push(element);
        unit = &unit[end..];
    }
    if elements.is_empty() { Err(PayloadError::NotObus) } else { Ok(elements) }
}

/// Fills packets to the brim, so that all but the last are equally long.
struct Cutter {
    len_max: usize,
    /// Pieces of OBUs of each packet, and whether the first continues the packet before's last.
    packets: Vec<(bool, Vec<Vec<u8>>)>,
}

impl Cutter {
    fn new(len_max: usize) -> Self {
        Self { len_max, packets: vec![(false, Vec::new())] }
    }

    fn push(&mut self, element: &[u8]) {
        let mut rest = element;
        loop {
            let (_, pieces) = self.packets.last().expect("there is always a packet");
            let take = room(pieces, rest.len(), self.len_max);
            if take > 0 {
                let (piece, behind) = rest.split_at(take);
                rest = behind;
                let (_, pieces) = self.packets.last_mut().expect("there is always a packet");
                pieces.push(piece.to_vec());
            }
            if rest.is_empty() {
                return;
            }
            self.packets.push((rest.len() < element.len(), Vec::new()));
        }
    }

    fn finish(mut self, sequence_start: bool) -> Vec<Payload> {
        self.packets.retain(|(_, pieces)| !pieces.is_empty());
        let count = self.packets.len();
        let goes_on: Vec<bool> =
            self.packets.iter().skip(1).map(|(continues, _)| *continues).chain([false]).collect();
        let mut payloads = Vec::with_capacity(count);
        for (index, (continues, pieces)) in self.packets.iter().enumerate() {
            let mut header = if *continues { CONTINUES } else { 0 };
            header |= if goes_on[index] { CONTINUED } else { 0 };
            header |= if sequence_start && index == 0 { SEQUENCE_START } else { 0 };
            let fill = (index + 1 < count).then_some(self.len_max);
            payloads.push(Payload {
                bytes: write_packet(header, pieces, fill),
                marker: index + 1 == count,
            });
        }
        payloads
    }
}

/// Bytes of the next element, `wanted` long, to put into a packet that holds `pieces` already. A packet of one
/// element needs no length (W = 1); as soon as there are two, each has one (W = 0).
fn room(pieces: &[Vec<u8>], wanted: usize, len_max: usize) -> usize {
    let left = len_max.saturating_sub(packet_len(pieces));
    if pieces.is_empty() {
        // One byte short of full, neither form fills the packet: its length needs two bytes. Leave one for the next.
        let awkward = wanted + 1 == left && leb128_len(wanted) > 1;
        return wanted.min(left) - usize::from(awkward);
    }
    // The largest piece whose length field fits beside it.
    let fits = |len_len: usize| {
        let piece = left.saturating_sub(len_len);
        if leb128_len(piece) <= len_len { piece } else { 0 }
    };
    wanted.min(fits(1).max(fits(2)))
}

/// With a length in front of each element.
fn packet_len(pieces: &[Vec<u8>]) -> usize {
    1 + pieces.iter().map(|piece| leb128_len(piece.len()) + piece.len()).sum::<usize>()
}

/// Writes one packet; one that shall fill `len` but falls short by some bytes gets longer length fields.
fn write_packet(header: u8, pieces: &[Vec<u8>], fill: Option<usize>) -> Vec<u8> {
    if let [only] = pieces
        && fill.is_none_or(|len| only.len() + 1 == len)
    {
        let mut bytes = vec![header | 1 << 4];
        bytes.extend_from_slice(only);
        return bytes;
    }
    let used = packet_len(pieces);
    let mut short = fill.map_or(0, |len| len.saturating_sub(used));
    let mut bytes = vec![header];
    for piece in pieces {
        let shortest = leb128_len(piece.len());
        let longer = short.min(LENGTH_LEN_MAX - shortest);
        short -= longer;
        write_leb128(piece.len(), shortest + longer, &mut bytes);
        bytes.extend_from_slice(piece);
    }
    bytes
}

/// Bytes a LEB128 number may take (AV1 specification §4.10.5).
const LENGTH_LEN_MAX: usize = 8;

/// A received packet's payload.
pub(super) struct Aggregate<'a> {
    pub(super) continues: bool,
    continued: bool,
    pub(super) starts_sequence: bool,
    count: u8,
    elements: &'a [u8],
}

impl<'a> Aggregate<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let (&header, elements) = payload.split_first()?;
        Some(Self {
            continues: header & CONTINUES != 0,
            continued: header & CONTINUED != 0,
            starts_sequence: header & SEQUENCE_START != 0,
            count: header >> 4 & 3,
            elements,
        })
    }

    /// Appends whole OBUs to `unit`; what goes on in the next packet stays in `fragment`. `None` when the packet
    /// does not parse or does not follow.
    pub(super) fn append(&self, unit: &mut Vec<u8>, fragment: &mut Vec<u8>) -> Option<()> {
        if self.continues == fragment.is_empty() {
            return None;
        }
        let mut rest = self.elements;
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            let (element, behind) = if index == self.count {
                (rest, &[][..])
            } else {
                let (len, len_len) = read_leb128(rest)?;
                let behind = rest.get(len_len..)?;
                behind.split_at_checked(usize::try_from(len).ok()?)?
            };
            rest = behind;
            fragment.extend_from_slice(element);
            if !(rest.is_empty() && self.continued) {
                append_obu(fragment, unit)?;
                fragment.clear();
            }
        }
        Some(())
    }
}

/// Gives an OBU its size field back, behind a temporal delimiter if it is the unit's first.
fn append_obu(obu: &[u8], unit: &mut Vec<u8>) -> Option<()> {
    let &header = obu.first()?;
    if unit.is_empty() && header >> 3 & 15 != 2 {
        unit.extend(DELIMITER);
    }
    if header & HAS_SIZE != 0 {
        unit.extend_from_slice(obu);
        return Some(());
    }
    let header_len = 1 + usize::from(header & EXTENSION != 0);
    let body = obu.get(header_len..)?;
    unit.push(header | HAS_SIZE);
    unit.extend_from_slice(&obu[1..header_len]);
    write_leb128(body.len(), leb128_len(body.len()), unit);
    unit.extend_from_slice(body);
    Some(())
}
