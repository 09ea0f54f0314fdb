//! Packets kept for retransmission: the last second, as far as memory goes, all layers of a worker together.
//!
//! Two rings, written in turn and overwritten from the oldest on. Nothing is ever taken out: a packet is gone when
//! its number has left the live range.
//!
//! ```text
//!   heads    hash of (layer, seq) ──▶ number of the newest packet with that hash
//!   entries  │ … │ 41 │ 42 │ 43 │ … │      number % capacity; each links to an older number with the same hash
//!                  │    │    └────┐
//!   data     ┌─────▼────▼─────────▼───┐    packets end to end; none wraps around the end
//! ```
//!
//! A chain runs from new to old, so it ends at the first number that is not live any more: what an overwritten entry
//! linked to is older still.

use super::clock::Stamp;
use crate::{LayerId, limits};
use std::ops::Range;
use wire::Seq;

/// Steps along one chain. Live packets with the same hash are few: numbers of one layer never collide.
const CHAIN_MAX: usize = 64;

/// The rings.
pub(super) struct History {
    entries: Box<[Entry]>,
    heads: Box<[u64]>,
    data: Box<[u8]>,
    /// Number of the oldest live packet; numbers start at 1, so that 0 ends a chain.
    oldest: u64,
    /// Number of the next packet.
    next: u64,
    /// Where in `data` the next packet goes.
    at: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    layer: LayerId,
    heard_at: Stamp,
    older: u64,
    offset: u32,
    len: u16,
    seq: Seq,
}

const NO_LAYER: LayerId = LayerId { index: u32::MAX, generation: u32::MAX };

impl History {
    /// Takes memory for this many packets of `limits::HISTORY_BYTES_PER_PACKET` bytes.
    pub(super) fn new(packets: u32) -> Self {
        let packets = packets.max(1) as usize;
        assert!(packets <= limits::HISTORY_PACKETS_MAX, "offsets into the data ring have 32 bits");
        let empty =
            Entry { layer: NO_LAYER, heard_at: Stamp(0), older: 0, offset: 0, len: 0, seq: Seq(0) };
        let bytes = packets * limits::HISTORY_BYTES_PER_PACKET + wire::limits::PACKET_LEN_MAX;
        Self {
            entries: vec![empty; packets].into_boxed_slice(),
            heads: vec![0; (2 * packets).next_power_of_two()].into_boxed_slice(),
            data: vec![0; bytes].into_boxed_slice(),
            oldest: 1,
            next: 1,
            at: 0,
        }
    }

    /// Keeps a copy of a packet of at most `PACKET_LEN_MAX` bytes.
    pub(super) fn keep(&mut self, layer: LayerId, seq: Seq, packet: &[u8], now: Stamp) {
        let offset = self.make_room(packet.len());
        self.data[offset..offset + packet.len()].copy_from_slice(packet);
        let head = self.head(layer, seq);
        let number = self.next;
        let slot = self.slot(number);
        self.entries[slot] = Entry {
            layer,
            heard_at: now,
            older: self.heads[head],
            offset: u32::try_from(offset).expect("`new` checked the data ring's size"),
            len: u16::try_from(packet.len()).expect("packets are at most PACKET_LEN_MAX long"),
            seq,
        };
        self.heads[head] = number;
        self.next += 1;
        self.at = offset + packet.len();
    }

    /// The packet, if it was heard at most `HISTORY_AGE_MAX` ago and is still here.
    pub(super) fn find(&self, layer: LayerId, seq: Seq, now: Stamp) -> Option<&[u8]> {
        let mut number = self.heads[self.head(layer, seq)];
        for _ in 0..CHAIN_MAX {
            if number < self.oldest {
                return None;
            }
            let entry = &self.entries[self.slot(number)];
            if entry.layer == layer && entry.seq == seq {
                let fresh = now.since(entry.heard_at) <= limits::HISTORY_AGE_MAX;
                let start = entry.offset as usize;
                return fresh.then(|| &self.data[start..start + usize::from(entry.len)]);
            }
            number = entry.older;
        }
        None
    }

    /// Where a packet of this length goes; everything it overwrites is no longer live.
    fn make_room(&mut self, len: usize) -> usize {
        if self.next - self.oldest == self.entries.len() as u64 {
            self.oldest += 1;
        }
        let mut start = self.at;
        if start + len > self.data.len() {
            // What lies between here and the end is older than everything at the beginning.
            self.forget(start..self.data.len());
            start = 0;
        }
        self.forget(start..start + len);
        start
    }

    /// Forgets the oldest packets as long as they begin within `range`.
    fn forget(&mut self, range: Range<usize>) {
        while self.oldest_offset().is_some_and(|oldest| range.contains(&oldest)) {
            self.oldest += 1;
        }
    }

    fn oldest_offset(&self) -> Option<usize> {
        (self.oldest < self.next).then(|| self.entries[self.slot(self.oldest)].offset as usize)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the number of entries")]
    fn slot(&self, number: u64) -> usize {
        (number % self.entries.len() as u64) as usize
    }

    /// Consecutive packets of a layer have neighbouring heads: one cache line serves eight.
    fn head(&self, layer: LayerId, seq: Seq) -> usize {
        let scattered = layer.index.wrapping_mul(0x9e37_79b1) as usize;
        scattered.wrapping_add(usize::from(seq.0)) & (self.heads.len() - 1)
    }
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
