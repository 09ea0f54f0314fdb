//! Packets of a layer that never repeat.

use crate::scene::ssrc;
use wire::Kind;
use wire::rtp::{AudioLevel, FrameMarking, Header};

/// Packets of one layer in one piece of memory, each with a sequence number of its own that goes on and on.
pub(crate) struct Train {
    /// The packets.
    pub(crate) bytes: Vec<u8>,
    /// Length of each.
    pub(crate) segment: usize,
    next: u16,
}

impl Train {
    /// `packets` packets of `len` bytes, of layer 0.
    pub(crate) fn new(kind: Kind, packets: usize, len: usize) -> Self {
        let mut packet = Vec::with_capacity(len);
        let inter = FrameMarking { start: true, end: false, independent: false, discardable: true };
        let header = Header {
            payload_type: 96,
            ssrc: ssrc(0).0,
            audio_level: (kind == Kind::Audio).then_some(AudioLevel { voice: true, level: 40 }),
            frame_marking: (kind != Kind::Audio).then_some(inter),
            ..Header::default()
        };
        header.write(&mut packet);
        packet.resize(len, 0);
        Self { bytes: packet.repeat(packets), segment: len, next: 0 }
    }

    /// Gives every packet the next number.
    pub(crate) fn renumber(&mut self) {
        for packet in self.bytes.chunks_mut(self.segment) {
            packet[2..4].copy_from_slice(&self.next.to_be_bytes());
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Makes the packets another layer's.
    pub(crate) fn relabel(&mut self, ssrc: u32) {
        for packet in self.bytes.chunks_mut(self.segment) {
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        }
    }

    /// The number the next packet gets.
    pub(crate) fn next(&self) -> u16 {
        self.next
    }
}
