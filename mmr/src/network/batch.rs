//! Messages for the kernel to send, many at a time: `mmsghdr`s and what they point to.
//!
//! The memory is taken once and lives as long as its network; a [`Batch`] is one filling of it, and
//! cannot outlive the packets it points to.

use super::address::Name;
use super::cmsg::Control;
use super::defaults::Manner;
use super::destinations::Destination;
use router::Transmit;
use std::marker::PhantomData;

/// Messages one batch holds. 1,024 of them take about 200 KiB, which fits a core's own cache.
pub(super) const BATCH_MAX: usize = 1_024;

/// The arrays behind a batch.
pub(super) struct BatchMemory {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    notes: Vec<Note>,
}

/// What a message was, to account for it when the kernel refuses it.
#[derive(Clone, Copy)]
pub(super) struct Note {
    pub(super) transmit: Transmit,
    pub(super) socket: u8,
}

/// One filling. `'p` is the borrow of the packets: while a batch exists they stay where they are,
/// unchanged.
pub(super) struct Batch<'p> {
    memory: &'p mut BatchMemory,
    packets: PhantomData<&'p [u8]>,
}

impl BatchMemory {
    pub(super) fn new() -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            headers: vec![empty_header(); BATCH_MAX].into(),
            vectors: vec![vector; BATCH_MAX].into(),
            names: vec![Name::EMPTY; BATCH_MAX].into(),
            controls: vec![Control::EMPTY; BATCH_MAX].into(),
            notes: Vec::with_capacity(BATCH_MAX),
        }
    }
}

impl<'p> Batch<'p> {
    /// Starts empty, whatever was in the memory before.
    pub(super) fn begin(memory: &'p mut BatchMemory) -> Self {
        memory.notes.clear();
        Self { memory, packets: PhantomData }
    }

    /// Adds a message to be sent in a manner, on a socket whose default may be another.
    ///
    /// # Panics
    /// The batch is full.
    pub(super) fn push(
        &mut self,
        destination: &Destination,
        bytes: &'p [u8],
        manner: Manner,
        default: Manner,
        note: Note,
    ) {
        let i = self.len();
        let memory = &mut *self.memory;
        let (name, control) = (&mut memory.names[i], &mut memory.controls[i]);
        *name = destination.name;
        control.len = 0;
        if manner.class != default.class {
            control.mark(destination.v6, manner.class);
        }
        if manner.segment != default.segment {
            control.segment(manner.segment);
        }
        let vector = &mut memory.vectors[i];
        // The kernel only reads what a sendmsg points to.
        vector.iov_base = bytes.as_ptr().cast_mut().cast();
        vector.iov_len = bytes.len();
        let header = &mut memory.headers[i].msg_hdr;
        header.msg_namelen = libc::socklen_t::from(name.len);
        header.msg_iovlen = 1;
        header.msg_controllen = control.len as _;
        memory.notes.push(note);
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        self.memory.notes.clear();
    }

    /// Makes every message harmless to read: for when the kernel may still do so after the packets
    /// are gone.
    pub(super) fn disarm(&mut self) {
        self.memory.headers.fill(empty_header());
    }

    pub(super) fn len(&self) -> usize {
        self.memory.notes.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == BATCH_MAX
    }

    pub(super) fn note(&self, index: usize) -> Note {
        self.memory.notes[index]
    }

    pub(super) fn notes(&self) -> &[Note] {
        &self.memory.notes
    }

    /// Points every filled header at its name, vector and control messages. Until the batch is next
    /// changed, the first [`Batch::len`] headers from the answered pointer on, and all they point
    /// to, may be read; a header's own fields may be written.
    pub(super) fn arm(&mut self) -> *mut libc::mmsghdr {
        let BatchMemory { headers, vectors, names, controls, notes } = &mut *self.memory;
        let (vectors, names) = (vectors.as_mut_ptr(), names.as_mut_ptr());
        let controls = controls.as_mut_ptr();
        for (i, header) in headers[..notes.len()].iter_mut().enumerate() {
            // The bytes are the first field of both structures.
            header.msg_hdr.msg_name = names.wrapping_add(i).cast();
            header.msg_hdr.msg_iov = vectors.wrapping_add(i);
            header.msg_hdr.msg_control = controls.wrapping_add(i).cast();
        }
        headers.as_mut_ptr()
    }
}

/// A header that points to nothing.
pub(super) fn empty_header() -> libc::mmsghdr {
    // SAFETY: an mmsghdr is integers and raw pointers, for which all bits zero is a value: 0 and
    // null.
    unsafe { std::mem::zeroed() }
}
