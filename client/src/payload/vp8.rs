//! VP8 over RTP (RFC 7741 §4.2): a descriptor with a 15-bit picture id before each piece of a frame.
//!
//! ```text
//!  0 X R N S R PID    X: extended, S: start of a partition, PID: partition index
//!  1 I L T K          I: a picture id follows
//!  2 M PictureID      M: 15 bits, in two bytes
//! ```

use super::Payload;

/// Where picture ids wrap.
pub(super) const PICTURE_ID_MAX: u16 = 0x7fff;
const DESCRIPTOR_LEN: usize = 4;
const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;

/// Cuts one frame. The whole frame is sent as partition 0: RFC 7741 §4.4 allows packets to span partitions.
pub(super) fn cut(frame: &[u8], picture_id: u16, len_max: usize) -> Vec<Payload> {
    let body_max = len_max - DESCRIPTOR_LEN;
    let count = frame.len().div_ceil(body_max).max(1);
    let body = |index: usize| {
        let start = index * body_max;
        &frame[start..frame.len().min(start + body_max)]
    };
    let [high, low] = (picture_id | 0x8000).to_be_bytes();
    let payload = |index: usize| {
        let start = if index == 0 { START } else { 0 };
        let mut bytes = vec![EXTENDED | start, 0x80, high, low];
        bytes.extend_from_slice(body(index));
        Payload { bytes, marker: index + 1 == count }
    };
    (0..count).map(payload).collect()
}

/// Whether a frame starts here, and the bytes behind the descriptor; `None` when it does not parse.
pub(super) fn parse(payload: &[u8]) -> Option<(bool, &[u8])> {
    let first = *payload.first()?;
    let mut len = 1;
    if first & EXTENDED != 0 {
        let extension = *payload.get(1)?;
        len = 2;
        if extension & 0x80 != 0 {
            len += if payload.get(len)? & 0x80 != 0 { 2 } else { 1 };
        }
        // TL0PICIDX has a byte of its own; TID and KEYIDX share one.
        len += usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
    }
    Some((first & START != 0 && first & 7 == 0, payload.get(len..)?))
}
