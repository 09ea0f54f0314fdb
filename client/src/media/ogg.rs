//! Opus in Ogg (RFC 7845): reading whole files, writing packets as they come.

use super::{Cause, Clip, Frame, opus};
use bytes::Bytes;
use ogg::{PacketReader, PacketWriteEndInfo, PacketWriter};
use std::io::{Cursor, Write};
use wire::control::Codec;

/// Samples a player drops at the start (RFC 7845 §4.2): libopus' look-ahead at 48 kHz. RTP does not carry the
/// encoder's own value.
const PRE_SKIP: u16 = 312;
/// Most packets of one page when writing: a second of 20 ms packets (RFC 7845 §6 wants pages of a second at most).
const PACKETS_PER_PAGE_MAX: u32 = 50;

/// The audio packets of the first Opus stream in `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Clip, Cause> {
    let mut reader = PacketReader::new(Cursor::new(bytes));
    let mut serial = None;
    let mut headers = 0;
    let mut clip = Clip { codec: Codec::Opus, frames: Vec::new(), duration_ticks: 0 };
    while let Some(packet) = reader.read_packet().map_err(|_| Cause::Damaged("an Ogg page"))? {
        if serial.is_none() && packet.data.starts_with(b"OpusHead") {
            serial = Some(packet.stream_serial());
        }
        if serial != Some(packet.stream_serial()) {
            continue;
        }
        // RFC 7845 §3: OpusHead and OpusTags stand before the audio.
        headers += 1;
        if headers > 2 {
            push(&mut clip, packet.data)?;
        }
    }
    match (serial, clip.frames.is_empty()) {
        (None, _) => Err(Cause::Codec("of this Ogg file".into())),
        (_, true) => Err(Cause::Empty),
        _ => Ok(clip),
    }
}

fn push(clip: &mut Clip, data: Vec<u8>) -> Result<(), Cause> {
    let samples = opus::samples(&data).ok_or(Cause::Damaged("an Opus packet"))?;
    clip.frames.push(Frame {
        timestamp: clip.duration_ticks,
        keyframe: true,
        data: Bytes::from(data),
    });
    clip.duration_ticks += u64::from(samples);
    Ok(())
}

/// Writes an Ogg Opus file.
pub struct Writer<W: Write> {
    pages: PacketWriter<'static, W>,
    serial: u32,
    /// The packet before the newest is written only when it is known whether it is the last one.
    held: Option<Frame>,
    first_timestamp: u64,
    on_page: u32,
}

impl<W: Write> Writer<W> {
    /// `serial` tells logical streams of one file apart; any number will do.
    pub fn new(out: W, serial: u32) -> Self {
        Self { pages: PacketWriter::new(out), serial, held: None, first_timestamp: 0, on_page: 0 }
    }

    /// Appends a packet. Its timestamp decides its place: what was lost before it stays a gap.
    pub fn write(&mut self, frame: Frame) -> std::io::Result<()> {
        match self.held.take() {
            None => {
                self.first_timestamp = frame.timestamp;
                self.write_headers(opus::is_stereo(&frame.data))?;
            }
            Some(held) => self.write_held(held, false)?,
        }
        self.held = Some(frame);
        Ok(())
    }

    /// Ends the stream and gives the output back. Nothing is written when no packet ever came.
    pub fn finish(mut self) -> std::io::Result<W> {
        if let Some(held) = self.held.take() {
            self.write_held(held, true)?;
        }
        let mut out = self.pages.into_inner();
        out.flush()?;
        Ok(out)
    }

    /// RFC 7845 §5.1 and §5.2.
    fn write_headers(&mut self, stereo: bool) -> std::io::Result<()> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(1 + u8::from(stereo));
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(48_000_u32.to_le_bytes());
        // Output gain 0; channel mapping family 0: mono or stereo.
        head.extend([0, 0, 0]);
        self.pages.write_packet(head, self.serial, PacketWriteEndInfo::EndPage, 0)?;
        let vendor = concat!("mmr-client ", env!("CARGO_PKG_VERSION"));
        let mut tags = b"OpusTags".to_vec();
        tags.extend(u32::try_from(vendor.len()).unwrap_or(0).to_le_bytes());
        tags.extend(vendor.as_bytes());
        tags.extend(0_u32.to_le_bytes());
        self.pages.write_packet(tags, self.serial, PacketWriteEndInfo::EndPage, 0)
    }

    fn write_held(&mut self, frame: Frame, last: bool) -> std::io::Result<()> {
        let samples = u64::from(opus::samples(&frame.data).unwrap_or(0));
        // RFC 7845 §4: the granule position of a page is that of the last sample of its last packet.
        let granule = frame.timestamp.saturating_sub(self.first_timestamp) + samples;
        self.on_page += 1;
        let end = match (last, self.on_page >= PACKETS_PER_PAGE_MAX) {
            (true, _) => PacketWriteEndInfo::EndStream,
            (false, true) => PacketWriteEndInfo::EndPage,
            (false, false) => PacketWriteEndInfo::NormalPacket,
        };
        if end != PacketWriteEndInfo::NormalPacket {
            self.on_page = 0;
        }
        self.pages.write_packet(frame.data.to_vec(), self.serial, end, granule)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panic
    use super::*;
    use proptest::prelude::*;

    fn packet() -> impl Strategy<Value = Vec<u8>> {
        // One frame a packet (code 0) of any configuration, any content, empty bodies and page-sized ones too.
        (0_u8..32, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..1_000)).prop_map(
            |(config, stereo, body)| {
                let mut packet = vec![config << 3 | u8::from(stereo) << 2];
                packet.extend(body);
                packet
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            packets in proptest::collection::vec(packet(), 1..200),
            start in 0_u64..1 << 40,
        ) {
            let mut writer = Writer::new(Vec::new(), 7);
            let mut timestamp = start;
            for data in &packets {
                let frame = Frame { timestamp, keyframe: true, data: data.clone().into() };
                timestamp += u64::from(opus::samples(data).unwrap());
                writer.write(frame).unwrap();
            }
            let clip = read(&writer.finish().unwrap()).unwrap();
            prop_assert_eq!(clip.duration_ticks, timestamp - start);
            let read: Vec<Vec<u8>> = clip.frames.iter().map(|frame| frame.data.to_vec()).collect();
            prop_assert_eq!(read, packets);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            bytes.splice(..bytes.len().min(4), *b"OggS");
            let _ = read(&bytes);
        }
    }
}
