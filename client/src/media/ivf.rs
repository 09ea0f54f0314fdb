//! IVF: the plain container of VP8 and AV1 test streams. 32 bytes of header, then frames of 12 bytes and data.
//!
//! ```text
//!  0 DKIF   4 version 0   6 header length 32   8 FourCC   12 width   14 height
//! 16 timebase denominator   20 numerator   24 frames   28 unused        all little-endian
//!  then per frame:  0 length   4 timestamp (64 bit)   12 data
//! ```

use super::{Cause, Clip, Dimensions, Frame, clock_hz, is_av1_keyframe, is_vp8_keyframe};
use bytes::Bytes;
use std::io::{Seek, SeekFrom, Write};
use wire::control::Codec;

const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 12;
/// Where the header counts frames.
const FRAMES_AT: u64 = 24;

/// All frames of an IVF file.
pub(super) fn read(bytes: &[u8]) -> Result<Clip, Cause> {
    let header = bytes.get(..HEADER_LEN).ok_or(Cause::Damaged("the IVF header"))?;
    let codec = match &header[8..12] {
        b"VP80" => Codec::Vp8,
        b"AV01" => Codec::Av1,
        other => return Err(Cause::Codec(String::from_utf8_lossy(other).into_owned())),
    };
    let (denominator, numerator) = (u32_at(header, 16), u32_at(header, 20));
    let header_len = usize::from(u16::from_le_bytes([header[6], header[7]]));
    if denominator == 0 || numerator == 0 || header_len < HEADER_LEN {
        return Err(Cause::Damaged("the IVF header"));
    }
    let clock = u64::from(clock_hz(codec));
    let to_ticks = |pts: u64| {
        let ticks = u128::from(pts) * u128::from(numerator) * u128::from(clock);
        u64::try_from(ticks / u128::from(denominator)).map_err(|_| Cause::Damaged("a timestamp"))
    };
    let mut clip = Clip { codec, frames: Vec::new(), duration_ticks: 0 };
    let mut rest = bytes.get(header_len..).ok_or(Cause::Damaged("the IVF header"))?;
    while !rest.is_empty() {
        let (pts, data, behind) = read_frame(rest)?;
        rest = behind;
        let timestamp = to_ticks(pts)?;
        let keyframe = is_keyframe(codec, data);
        clip.frames.push(Frame { timestamp, keyframe, data: Bytes::copy_from_slice(data) });
    }
    settle(clip)
}

fn read_frame(rest: &[u8]) -> Result<(u64, &[u8], &[u8]), Cause> {
    let damaged = Cause::Damaged("a frame reaches past the end of the file");
    let Some((header, rest)) = rest.split_at_checked(FRAME_HEADER_LEN) else {
        return Err(damaged);
    };
    let pts = u64::from(u32_at(header, 4)) | u64::from(u32_at(header, 8)) << 32;
    let Some((data, rest)) = rest.split_at_checked(u32_at(header, 0) as usize) else {
        return Err(damaged);
    };
    Ok((pts, data, rest))
}

/// Times count from the first frame and never fall; the last frame lasts as long as the mean of the others.
fn settle(mut clip: Clip) -> Result<Clip, Cause> {
    let first = clip.frames.first().ok_or(Cause::Empty)?.timestamp;
    let mut previous = first;
    for frame in &mut clip.frames {
        if frame.timestamp < previous {
            return Err(Cause::Damaged("timestamps that go back"));
        }
        previous = frame.timestamp;
        frame.timestamp -= first;
    }
    let between = clip.frames.len() as u64 - 1;
    let span = previous - first;
    let last = span.checked_div(between).unwrap_or(u64::from(clock_hz(clip.codec)) / 30);
    clip.duration_ticks = span + last;
    Ok(clip)
}

fn is_keyframe(codec: Codec, data: &[u8]) -> bool {
    match codec {
        Codec::Vp8 => is_vp8_keyframe(data),
        Codec::Av1 => is_av1_keyframe(data),
        Codec::Opus => true,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes an IVF file with a 90 kHz timebase.
pub struct Writer<W: Write + Seek> {
    out: W,
    frames: u32,
    first_timestamp: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Writes the header. `dimensions` are those of the first keyframe; decoders read them there anyway.
    pub fn new(mut out: W, codec: Codec, dimensions: Dimensions) -> std::io::Result<Self> {
        let fourcc = if codec == Codec::Av1 { b"AV01" } else { b"VP80" };
        let mut header = b"DKIF\0\0\x20\0".to_vec();
        header.extend(fourcc);
        header.extend(dimensions.width.to_le_bytes());
        header.extend(dimensions.height.to_le_bytes());
        header.extend(clock_hz(codec).to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        header.extend([0; 8]);
        out.write_all(&header)?;
        Ok(Self { out, frames: 0, first_timestamp: 0 })
    }

    /// Appends a frame; times count from the first.
    pub fn write(&mut self, frame: &Frame) -> std::io::Result<()> {
        if self.frames == 0 {
            self.first_timestamp = frame.timestamp;
        }
        let too_large = |_| std::io::Error::other("a frame of 4 GiB");
        let len = u32::try_from(frame.data.len()).map_err(too_large)?;
        let pts = frame.timestamp.saturating_sub(self.first_timestamp);
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(&pts.to_le_bytes())?;
        self.out.write_all(&frame.data)?;
        self.frames += 1;
        Ok(())
    }

    /// Notes the number of frames in the header and gives the output back.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.out.seek(SeekFrom::Start(FRAMES_AT))?;
        self.out.write_all(&self.frames.to_le_bytes())?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panic
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            frames in proptest::collection::vec(
                (0_u64..100_000, proptest::collection::vec(any::<u8>(), 0..3_000)), 1..50),
            av1 in any::<bool>(),
        ) {
            let codec = if av1 { Codec::Av1 } else { Codec::Vp8 };
            let dimensions = Dimensions { width: 320, height: 180 };
            let mut writer = Writer::new(Cursor::new(Vec::new()), codec, dimensions).unwrap();
            let mut timestamp = 0;
            let mut written = Vec::new();
            for (index, (step, data)) in frames.into_iter().enumerate() {
                timestamp += if index == 0 { 0 } else { step };
                let keyframe = is_keyframe(codec, &data);
                let frame = Frame { timestamp, keyframe, data: data.into() };
                writer.write(&frame).unwrap();
                written.push(frame);
            }
            let clip = read(writer.finish().unwrap().get_ref()).unwrap();
            prop_assert_eq!(clip.codec, codec);
            prop_assert_eq!(clip.frames, written);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let head = b"DKIF\0\0\x20\0VP80";
            bytes.splice(..bytes.len().min(head.len()), *head);
            let _ = read(&bytes);
        }
    }
}
