//! What a turn received, and the slots it lies in.
//!
//! ```text
//!              take_free                deliver
//!   free slots ─────────▶ the network ─────────▶ arrivals ──┐
//!       ▲                 (the kernel)                      │ recycle, at the next receive
//!       └───────────────────────────────────────────────────┘
//! ```

use crate::packet::Slot;
use router::{Arrival, DropCounters, DropReason, Path, Payload, SlotId};
use std::time::Instant;
use wire::limits::PACKET_LEN_MAX;

/// Packets of TCP and TLS links one turn takes in. Each lies in a small slot of its own.
pub const STREAM_SLOTS: u16 = 256;

/// Where and when something was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// From where.
    pub path: Path,
    /// Where in the slot it begins.
    pub offset: u32,
    /// How many bytes.
    pub len: u32,
    /// Size of each packet of a train but the last; `len` for a single packet.
    pub segment: u16,
    /// The kernel's; 0: none.
    pub mark: u32,
    /// By the kernel where it tells, else when the turn began.
    pub at: Instant,
}

/// A turn's arrivals. Owns every slot that is not with the network; all memory is taken at start.
pub struct Inbox {
    /// By `SlotId`; `None` while the network has it.
    slots: Box<[Option<Slot>]>,
    /// Slots below this number are for datagrams, from it on for packets of streams.
    datagram_slots: u16,
    free: Vec<SlotId>,
    stream_free: Vec<SlotId>,
    arrivals: Vec<(SlotId, Heard)>,
    /// By `SlotId`: when what lies there was heard.
    heard_at: Box<[Instant]>,
    drops: DropCounters,
}

impl Inbox {
    /// Takes the memory of `slots` slots of `slot_len` bytes each, and of [`STREAM_SLOTS`] small
    /// ones.
    ///
    /// # Panics
    /// More than 32,768 slots, the most a buffer ring can hold, or none.
    pub fn new(slots: u16, slot_len: usize) -> Self {
        assert!((1..=1 << 15).contains(&slots), "1 to 32,768 slots");
        let all = slots + STREAM_SLOTS;
        let len = |id| if id < slots { slot_len } else { PACKET_LEN_MAX };
        Self {
            slots: (0..all).map(|id| Some(Slot::new(SlotId(id), len(id)))).collect(),
            datagram_slots: slots,
            free: (0..slots).rev().map(SlotId).collect(),
            stream_free: (slots..all).rev().map(SlotId).collect(),
            arrivals: Vec::with_capacity(usize::from(all)),
            heard_at: vec![Instant::now(); usize::from(all)].into(),
            drops: DropCounters::default(),
        }
    }

    /// The network: forgets the last turn's arrivals; their slots are free again.
    pub fn recycle(&mut self) {
        for (id, _) in self.arrivals.drain(..) {
            if id.0 < self.datagram_slots {
                self.free.push(id);
            } else {
                self.stream_free.push(id);
            }
        }
    }

    /// The network: takes a free slot to receive into.
    pub fn take_free(&mut self) -> Option<Slot> {
        let id = self.free.pop()?;
        self.slots[usize::from(id.0)].take()
    }

    /// The network: returns a slot unused.
    pub fn put_back(&mut self, slot: Slot) {
        let id = slot.id();
        self.keep(slot);
        self.free.push(id);
    }

    /// The network: returns a slot with what was heard in it. An empty datagram is no arrival but a
    /// drop.
    ///
    /// # Panics
    /// `heard` does not lie within the slot: the network's mistake.
    pub fn deliver(&mut self, slot: Slot, mut heard: Heard) {
        let end = heard.offset as usize + heard.len as usize;
        assert!(end <= slot.memory().len(), "heard beyond its slot");
        if heard.len == 0 {
            self.drops.count(DropReason::Malformed);
            return self.put_back(slot);
        }
        // A segment size of 0, or above the length, is the kernel's way of saying "no train".
        if heard.segment == 0 || u32::from(heard.segment) > heard.len {
            heard.segment = u16::try_from(heard.len).unwrap_or(u16::MAX);
        }
        self.push(slot.id(), heard);
        self.keep(slot);
    }

    /// The network: returns a slot whose datagram did not fit.
    pub fn refuse(&mut self, slot: Slot, reason: DropReason) {
        self.drops.count(reason);
        self.put_back(slot);
    }

    /// Copies a packet of a TCP or TLS link in, so that it can be sent on like any other. `None`
    /// when this turn took in [`STREAM_SLOTS`] already, or the packet is longer than
    /// `PACKET_LEN_MAX` or empty.
    pub fn adopt(&mut self, path: Path, packet: &[u8], at: Instant) -> Option<usize> {
        let len = u16::try_from(packet.len()).ok().filter(|&len| len > 0)?;
        let id = *self.stream_free.last()?;
        let slot = self.slots[usize::from(id.0)].as_mut()?;
        slot.memory_mut().get_mut(..packet.len())?.copy_from_slice(packet);
        self.stream_free.pop();
        self.push(id, Heard { path, offset: 0, len: u32::from(len), segment: len, mark: 0, at });
        Some(self.arrivals.len() - 1)
    }

    /// Whether [`Inbox::adopt`] has room.
    pub fn can_adopt(&self) -> bool {
        !self.stream_free.is_empty()
    }

    /// How many arrivals there are.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Nothing arrived.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// One arrival, as the router takes it.
    pub fn arrival(&self, index: usize) -> Arrival<'_> {
        let (slot, heard) = self.arrivals[index];
        let bytes = self.bytes_at(slot, heard.offset, heard.len);
        Arrival {
            path: heard.path,
            slot,
            offset: heard.offset,
            bytes: bytes.expect("deliver and adopt checked the bounds, and the slot is ours"),
            segment: heard.segment,
            mark: heard.mark,
        }
    }

    /// When what lies in a slot was heard.
    pub fn heard_at(&self, slot: SlotId) -> Instant {
        self.heard_at[usize::from(slot.0)]
    }

    /// The bytes of a payload: in a slot of this turn, or in `arena`. `None` when it does not lie
    /// there.
    pub fn payload<'a>(&'a self, payload: &Payload, arena: &'a [u8]) -> Option<&'a [u8]> {
        match payload.source {
            router::Source::Slot(slot) => self.bytes_at(slot, payload.offset, payload.len),
            router::Source::Arena => arena.get(range(payload.offset, payload.len)),
        }
    }

    /// Datagram slots that are free and here; with those the network has, all when nothing is held.
    pub fn free_slots(&self) -> usize {
        self.free.len()
    }

    /// How many datagram slots there are in all.
    pub fn datagram_slots(&self) -> u16 {
        self.datagram_slots
    }

    /// What never became an arrival: truncated and empty datagrams, since start.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    fn push(&mut self, slot: SlotId, heard: Heard) {
        self.heard_at[usize::from(slot.0)] = heard.at;
        self.arrivals.push((slot, heard));
    }

    fn keep(&mut self, slot: Slot) {
        let place = &mut self.slots[usize::from(slot.id().0)];
        assert!(place.is_none(), "a slot came back twice");
        *place = Some(slot);
    }

    fn bytes_at(&self, slot: SlotId, offset: u32, len: u32) -> Option<&[u8]> {
        self.slots.get(usize::from(slot.0))?.as_ref()?.memory().get(range(offset, len))
    }
}

fn range(offset: u32, len: u32) -> std::ops::Range<usize> {
    offset as usize..offset as usize + len as usize
}
