//! RFC 4571: packets over a byte stream, each behind its 16-bit length.
//!
//! ```text
//! | length, 16 bits | packet … | length, 16 bits | packet … |
//! ```

use crate::limits::PACKET_LEN_MAX;

/// Splits a byte stream into packets. Holds at most one partial frame.
#[derive(Debug, Default)]
pub struct Deframer {
    /// The beginning of a frame, its length included; empty between frames.
    buffer: Vec<u8>,
}

/// A frame longer than [`crate::limits::PACKET_LEN_MAX`]: the stream can't be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes is longer than any packet may be")]
pub struct Oversized(pub usize);

impl Deframer {
    /// Takes bytes as they came and calls `each` for every complete packet, in order. Empty frames
    /// are skipped. After [`Oversized`] the stream is to be closed; packets in front of the bad
    /// frame were handed out.
    pub fn receive(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Oversized> {
        if !self.buffer.is_empty() && !self.complete(&mut bytes, &mut each)? {
            return Ok(());
        }
        // Whole frames are handed out where they lie; only the unfinished last one is copied.
        while let Some((len, rest)) = bytes.split_first_chunk() {
            let Some((packet, behind)) = rest.split_at_checked(checked_len(*len)?) else { break };
            hand_out(packet, &mut each);
            bytes = behind;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes of an unfinished frame held, at most `PACKET_LEN_MAX + 2`.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Moves what the held frame lacks from `bytes` into the buffer; true when the frame was
    /// completed.
    fn complete(
        &mut self,
        bytes: &mut &[u8],
        each: &mut impl FnMut(&[u8]),
    ) -> Result<bool, Oversized> {
        self.fill(bytes, 2);
        let Some(len) = self.buffer.first_chunk() else { return Ok(false) };
        let whole = 2 + checked_len(*len)?;
        self.fill(bytes, whole);
        if self.buffer.len() < whole {
            return Ok(false);
        }
        hand_out(&self.buffer[2..], each);
        self.buffer.clear();
        Ok(true)
    }

    fn fill(&mut self, bytes: &mut &[u8], up_to: usize) {
        let missing = up_to.saturating_sub(self.buffer.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(missing);
        self.buffer.extend_from_slice(taken);
        *bytes = rest;
    }
}

/// Appends one packet with its length to `out`. Panics above 65535 bytes: packets are checked long
/// before.
pub fn frame(packet: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(packet.len()).expect("no packet is longer than PACKET_LEN_MAX");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(packet);
}

fn checked_len(bytes: [u8; 2]) -> Result<usize, Oversized> {
    let len = usize::from(u16::from_be_bytes(bytes));
    if len > PACKET_LEN_MAX { Err(Oversized(len)) } else { Ok(len) }
}

fn hand_out(packet: &[u8], each: &mut impl FnMut(&[u8])) {
    // RFC 4571 §2 allows empty frames; they carry nothing.
    if !packet.is_empty() {
        each(packet);
    }
}

#[cfg(test)]
mod tests;
