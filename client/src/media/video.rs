//! What video frames say about themselves without being decoded: keyframe or not, how large.

use super::bits::{Bits, read_leb128};
use wire::control::Codec;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimensions {
    /// Luma samples in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The size a keyframe tells.
pub fn dimensions(codec: Codec, keyframe: &[u8]) -> Option<Dimensions> {
    match codec {
        Codec::Vp8 => vp8_dimensions(keyframe),
        Codec::Av1 => av1_dimensions(keyframe),
        Codec::Opus => None,
    }
}

/// RFC 6386 §9.1: the lowest bit of a frame's first byte is 0 in a keyframe.
pub fn is_vp8_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 0)
}

/// RFC 6386 §9.1: behind the tag and the start code of a keyframe.
fn vp8_dimensions(frame: &[u8]) -> Option<Dimensions> {
    let head = frame.get(..10).filter(|head| is_vp8_keyframe(head))?;
    let side = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff;
    (head[3..6] == [0x9d, 0x01, 0x2a]).then(|| Dimensions { width: side(6), height: side(8) })
}

/// Whether a temporal unit starts a coded video sequence: it carries a sequence header.
pub fn is_av1_keyframe(unit: &[u8]) -> bool {
    sequence_header(unit).is_some()
}

/// The size in the sequence header of a temporal unit.
fn av1_dimensions(unit: &[u8]) -> Option<Dimensions> {
    let mut bits = Bits::new(sequence_header(unit)?);
    skip_operating_points(&mut bits)?;
    let width_bits = bits.take(4)? + 1;
    let height_bits = bits.take(4)? + 1;
    let width = bits.take(width_bits)? + 1;
    let height = bits.take(height_bits)? + 1;
    Some(Dimensions { width: width.try_into().ok()?, height: height.try_into().ok()? })
}

/// OBU type of a sequence header (AV1 specification §6.2.2).
const SEQUENCE_HEADER: u8 = 1;

fn sequence_header(mut unit: &[u8]) -> Option<&[u8]> {
    while let Some(&header) = unit.first() {
        let start = 1 + usize::from(header >> 2 & 1);
        let has_size = header & 2 != 0;
        let (len, start) = if has_size {
            let (len, len_len) = read_leb128(unit.get(start..)?)?;
            (usize::try_from(len).ok()?, start + len_len)
        } else {
            (unit.len().checked_sub(start)?, start)
        };
        let payload = unit.get(start..start.checked_add(len)?)?;
        if header >> 3 & 15 == SEQUENCE_HEADER {
            return Some(payload);
        }
        unit = &unit[start + len..];
    }
    None
}

/// AV1 specification §5.5.1, up to `frame_width_bits_minus_1`.
fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    bits.take(4)?; // seq_profile, still_picture
    let reduced_still_picture_header = bits.flag()?;
    if reduced_still_picture_header {
        return bits.take(5).map(|_| ());
    }
    let (mut decoder_model, mut delay_bits) = (false, 0);
    let timing_info = bits.flag()?;
    if timing_info {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? {
            bits.skip_uvlc()?;
        }
        decoder_model = bits.flag()?;
        if decoder_model {
            delay_bits = bits.take(5)? + 1;
            bits.take(32)?;
            bits.take(10)?;
        }
    }
    let initial_display_delay = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?; // operating_point_idc
        if bits.take(5)? > 7 {
            bits.flag()?; // seq_tier
        }
        if decoder_model && bits.flag()? {
            bits.take(delay_bits)?;
            bits.take(delay_bits)?;
            bits.flag()?;
        }
        if initial_display_delay && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_vp8_keyframe_tells_its_size() {
        let key = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        assert_eq!(vp8_dimensions(&key), Some(Dimensions { width: 320, height: 180 }));
        let inter = [0x11, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        assert_eq!(vp8_dimensions(&inter), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (av1_dimensions(&bytes), vp8_dimensions(&bytes));
        }
    }
}
