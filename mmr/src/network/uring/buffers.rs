//! The ring of provided buffers (io_uring_setup_buf_ring(3)): slots lent to the kernel to receive
//! into.
//!
//! ```text
//!             provide                    a completion names the buffer
//!   Slot ──▶ lent[id] + entry at tail ──▶ the kernel writes ──▶ take(id) ──▶ Slot
//!
//!   entries:  ┌────┬────┬────┬────┬────┬────┬────┬────┐   `tail` counts what was ever provided; its
//!             │ 5  │ 6  │    │    │ 1  │ 2  │ 3  │ 4  │   low bits are the place of the next. The
//!             └────┴────┴────┴────┴────┴────┴────┴────┘   kernel takes from the other end.
//! ```

use super::ring::Ring;
use crate::packet::Slot;
use io_uring::types::BufRingEntry;
use router::SlotId;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The only group there is.
pub(super) const GROUP: u16 = 0;
/// The kernel wants the entries on a page of their own.
const PAGE: usize = 4_096;

/// Buffers with the kernel. Once registered it must not be dropped before the kernel has let go of
/// it; its owner leaks it if the kernel will not.
pub(super) struct BufferRing {
    /// `mask + 1` entries, read by the kernel, written only here.
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    mask: u16,
    tail: u16,
    lent_count: usize,
    /// By slot number: the memory of a lent slot, from `Box::into_raw`. The kernel may write to it
    /// at any time.
    lent: Box<[Option<NonNull<[u8]>>]>,
}

impl BufferRing {
    /// Makes room for `slots` slots, numbered below that.
    ///
    /// # Panics
    /// `slots` is 0 or above 32,768.
    pub(super) fn new(slots: u16) -> Self {
        assert!((1..=1 << 15).contains(&slots), "1 to 32,768 buffers");
        let count = slots.next_power_of_two();
        let size = usize::from(count) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(size, PAGE).expect("at most 512 KiB, page aligned");
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast()) else { handle_alloc_error(layout) };
        let lent = vec![None; usize::from(slots)].into_boxed_slice();
        Self { entries, layout, mask: count - 1, tail: 0, lent_count: 0, lent }
    }

    /// Tells the kernel of the ring.
    ///
    /// # Safety
    /// On success, `self` is not dropped before [`BufferRing::unregister`] succeeded.
    pub(super) unsafe fn register(&self, ring: &Ring) -> io::Result<()> {
        let address = self.entries.as_ptr().expose_provenance() as u64;
        let (submitter, count) = (ring.submitter(), self.mask + 1);
        // SAFETY: the entries are allocated, as many as said, and stay so until `self` is dropped,
        // which says the caller is after the group was unregistered.
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0) }
    }

    /// After this the kernel writes to no buffer any more, if nothing that receives is under way.
    pub(super) fn unregister(&self, ring: &Ring) -> io::Result<()> {
        ring.submitter().unregister_buf_ring(GROUP)
    }

    /// Lends a slot; the kernel sees it after [`BufferRing::publish`].
    ///
    /// # Panics
    /// The slot's number is not below what the ring was made for.
    pub(super) fn provide(&mut self, slot: Slot) {
        let (id, memory) = slot.into_parts();
        let len = u32::try_from(memory.len()).unwrap_or(u32::MAX);
        let memory = NonNull::from(Box::leak(memory));
        let place = &mut self.lent[usize::from(id.0)];
        assert!(place.is_none(), "two slots of the same number");
        *place = Some(memory);
        // SAFETY: masked, the offset is below the number of entries. The kernel reads only entries
        // before the tail it was told; as no more slots are lent than there are entries, this one
        // is not among them.
        let entry = unsafe { self.entries.add(usize::from(self.tail & self.mask)).as_mut() };
        entry.set_addr(memory.cast::<u8>().as_ptr().expose_provenance() as u64);
        entry.set_len(len);
        entry.set_bid(id.0);
        self.tail = self.tail.wrapping_add(1);
        self.lent_count += 1;
    }

    /// How many slots the kernel has.
    pub(super) fn lent(&self) -> usize {
        self.lent_count
    }

    /// Lets the kernel see what was provided.
    pub(super) fn publish(&mut self) {
        // SAFETY: `entries` points to the first entry, which is initialized.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail lies in memory of ours, aligned to 2 bytes; no one but us writes it, and
        // we do only here.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Takes a lent slot back.
    ///
    /// # Safety
    /// A completion of this ring named the buffer since it was provided: the kernel is done with
    /// it.
    pub(super) unsafe fn take(&mut self, id: u16) -> Option<Slot> {
        let memory = self.lent.get_mut(usize::from(id))?.take()?;
        self.lent_count -= 1;
        // SAFETY: the pointer is from a leaked box and was taken out of `lent`, so it becomes a box
        // once; the kernel does not write to it any more, says the caller.
        let memory = unsafe { Box::from_raw(memory.as_ptr()) };
        Some(Slot::from_parts(SlotId(id), memory))
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        for memory in self.lent.iter_mut().filter_map(Option::take) {
            // SAFETY: from a leaked box, taken out of `lent`; the kernel has let go of it, or never
            // knew of it (`register`).
            drop(unsafe { Box::from_raw(memory.as_ptr()) });
        }
        // SAFETY: allocated in `new` with this layout; the kernel has let go of it, or never knew
        // of it (`register`).
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}
