//! What waits to be written to one connection: bounded by age, so that a slow reader gets less
//! media and not late media.
//!
//! STUN and RTCP go before media and are not dropped for their age: a late answer still keeps a
//! link alive. Their number is bounded. Packets are copied in, so that a connection that stands
//! still holds none of the shared buffers.

use super::limits::{CONTROL_FRAMES_MAX, DoorLimits, QUEUE_LEN_MAX, QUEUES_LEN_MAX};
use router::DropReason;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;
use wire::Kind;
use wire::demux::{Class, classify};

/// Bytes of media waiting in all queues of the door.
pub(super) type Total = Rc<Cell<usize>>;

/// One connection's.
#[derive(Debug)]
pub(super) struct Queue {
    control: VecDeque<Box<[u8]>>,
    media: VecDeque<Media>,
    /// Bytes in `media`.
    len: usize,
    /// Bytes of media in every connection's queue.
    total: Total,
    limits: DoorLimits,
}

#[derive(Debug)]
struct Media {
    packet: Box<[u8]>,
    /// When it is no longer worth sending.
    late_at: Instant,
}

impl Queue {
    /// Empty.
    pub(super) fn new(limits: DoorLimits, total: Total) -> Self {
        Self { control: VecDeque::new(), media: VecDeque::new(), len: 0, total, limits }
    }

    /// Takes a packet in; counts what is dropped for it, or it itself.
    pub(super) fn push(
        &mut self,
        packet: &[u8],
        kind: Kind,
        heard_at: Instant,
        now: Instant,
        drops: &mut impl FnMut(DropReason),
    ) {
        self.expire(now, drops);
        if matches!(classify(packet), Some(Class::Stun | Class::Rtcp)) {
            if self.control.len() == CONTROL_FRAMES_MAX {
                drops(DropReason::StreamQueueFull);
                return;
            }
            self.control.push_back(packet.into());
            return;
        }
        let total = self.total.get() + packet.len();
        if self.len + packet.len() > QUEUE_LEN_MAX || total > QUEUES_LEN_MAX {
            drops(DropReason::StreamQueueFull);
            return;
        }
        let late_at = heard_at + self.limits.age(kind);
        self.media.push_back(Media { packet: packet.into(), late_at });
        self.len += packet.len();
        self.total.set(total);
    }

    /// Calls `each` for the packets to be written now, as many as `room` bytes hold with their two
    /// bytes of length; answers how many. What is late by `now` is dropped instead.
    pub(super) fn take(
        &mut self,
        mut room: usize,
        now: Instant,
        drops: &mut impl FnMut(DropReason),
        mut each: impl FnMut(&[u8]),
    ) -> u64 {
        let mut taken = 0;
        loop {
            // Each time: a repaired packet may be older than the one in front of it.
            self.expire(now, drops);
            let Some(packet) = self.pop(room) else { return taken };
            room -= packet.len() + 2;
            taken += 1;
            each(&packet);
        }
    }

    /// Forgets everything; answers how many packets that was.
    pub(super) fn clear(&mut self) -> u64 {
        let packets = self.control.len() + self.media.len();
        self.control = VecDeque::new();
        self.media = VecDeque::new();
        self.total.set(self.total.get() - self.len);
        self.len = 0;
        packets as u64
    }

    fn pop(&mut self, room: usize) -> Option<Box<[u8]>> {
        if let Some(packet) = self.control.front() {
            return if packet.len() + 2 <= room { self.control.pop_front() } else { None };
        }
        self.media.front().filter(|media| media.packet.len() + 2 <= room)?;
        self.pop_media()
    }

    fn pop_media(&mut self) -> Option<Box<[u8]>> {
        let media = self.media.pop_front()?;
        self.len -= media.packet.len();
        self.total.set(self.total.get() - media.packet.len());
        Some(media.packet)
    }

    /// Drops what is late in front. Packets come in the order they were heard, but for repaired
    /// ones.
    fn expire(&mut self, now: Instant, drops: &mut impl FnMut(DropReason)) {
        while self.media.front().is_some_and(|media| media.late_at < now) {
            self.pop_media();
            drops(DropReason::StreamLate);
        }
        // A queue that was long once gives its memory back when the connection keeps up again.
        if self.media.is_empty() && self.media.capacity() > 256 {
            self.media = VecDeque::new();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.total.set(self.total.get() - self.len);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests;
