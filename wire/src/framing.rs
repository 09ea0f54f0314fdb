//! RFC 4571: packets over a byte stream, each behind its 16-bit length.

/// Splits a byte stream into packets. Holds at most one partial frame.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
}

/// A frame longer than [`crate::limits::PACKET_LEN_MAX`]: the stream can't be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes is longer than any packet may be")]
pub struct Oversized(pub usize);

impl Deframer {
    /// Takes bytes as they came and calls `each` for every complete packet, in order. Empty frames are skipped.
    pub fn receive(&mut self, _bytes: &[u8], _each: impl FnMut(&[u8])) -> Result<(), Oversized> {
        todo!()
    }
    /// Bytes of an unfinished frame held, at most `PACKET_LEN_MAX + 2`.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }
}

/// Appends one packet with its length to `out`. Panics above 65535 bytes: packets are checked long before.
pub fn frame(_packet: &[u8], _out: &mut Vec<u8>) {
    todo!()
}
