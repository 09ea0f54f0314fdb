//! Receive buffers: each has one owner at any time, and the type says who.
//!
//! A [`Slot`] is owned memory. Whoever holds the value may read and write it; a network that lends
//! a slot to the kernel keeps the value's parts to itself until the kernel has given them back.
//! Nothing here is shared or counted.

use router::SlotId;

/// What io_uring writes in front of a datagram (its header, the sender's address, control
/// messages), rounded up.
pub const HEADROOM: usize = 512;
/// Size of a slot in bytes: any UDP datagram, and any train GRO makes of them (65,535 bytes at
/// most), fits behind the headroom, so that the kernel never has to truncate.
pub const SLOT_LEN: usize = 65_536 + HEADROOM;
/// Slots of a worker. A turn takes in at most so many datagrams or trains; what comes meanwhile
/// waits in the socket's buffer. They are 64.5 MiB of address space; memory stands behind the pages
/// that were ever written, which are one or two a slot unless long trains come.
pub const SLOTS: u16 = 1_024;

/// A receive buffer, owned.
pub struct Slot {
    id: SlotId,
    memory: Box<[u8]>,
}

impl Slot {
    /// Takes zeroed memory.
    pub fn new(id: SlotId, len: usize) -> Self {
        Self { id, memory: vec![0; len].into_boxed_slice() }
    }

    /// A slot from its parts.
    pub fn from_parts(id: SlotId, memory: Box<[u8]>) -> Self {
        Self { id, memory }
    }

    /// Its parts.
    pub fn into_parts(self) -> (SlotId, Box<[u8]>) {
        (self.id, self.memory)
    }

    /// Its number within its inbox.
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// Its memory.
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// Its memory, to be written.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}
