//! The ring with all that is under way on it: receptions, the waker's poll, and sends.

use super::buffers::{BufferRing, GROUP};
use super::lending::Lending;
use super::ring::Ring;
use crate::network::NetworkConfig;
use crate::network::address::{NAME_LEN_MAX, NAME_SOCKLEN_MAX};
use crate::network::batch::{Batch, Note, empty_header};
use crate::network::cmsg::RECEIVE_LEN_MAX;
use crate::network::inbox::Inbox;
use crate::network::reception::{Raw, Reception};
use crate::network::sender::{Failure, Flush};
use crate::packet::{HEADROOM, Slot};
use io_uring::cqueue::{self, buffer_select, more};
use io_uring::opcode;
use io_uring::squeue::{self, Flags};
use io_uring::types::{Fixed, RecvMsgOut};
use router::DropReason;
use std::io;
use std::mem::ManuallyDrop;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// What an operation was, in the upper half of its user data; the lower half is a socket's or a
/// message's number.
const RECEIVE: u32 = 1;
const SEND: u32 = 2;
const WAKE: u32 = 3;

/// Where a datagram begins in its slot: behind the ring's header, the sender's name and the control
/// messages.
const PAYLOAD_OFFSET: usize = RING_HEADER_LEN + NAME_LEN_MAX + RECEIVE_LEN_MAX;
const RING_HEADER_LEN: usize = 16;
const _: () = assert!(PAYLOAD_OFFSET <= HEADROOM);

const SEND_FLAGS: u32 = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL).cast_unsigned();

/// What a [`super::UringNetwork`] drives.
pub(super) struct Engine {
    ring: Ring,
    /// Dropped, in `Drop`, only after the kernel let go of it.
    buffers: ManuallyDrop<BufferRing>,
    lending: Lending,
    /// How a reception lays out a slot; read by the kernel when it is armed.
    layout: Box<libc::msghdr>,
    /// By socket: whether a reception is under way.
    armed: Box<[bool]>,
    waker_armed: bool,
    /// Completions of receptions not looked at yet; some come while sends are submitted.
    heard: Vec<cqueue::Entry>,
    /// Times a reception ended because no slot was left.
    pub(super) overflows: u64,
    /// The kernel did not take a submission: entries are left in the queue that must never reach
    /// it.
    broken: bool,
    /// Known to the ring by index: sockets, then the waker.
    files: (Vec<UdpSocket>, OwnedFd),
}

impl Engine {
    pub(super) fn new(config: NetworkConfig, slots: u16) -> io::Result<Self> {
        let NetworkConfig { sockets, waker, .. } = config;
        let ring = Ring::new()?;
        let files = sockets.iter().map(AsRawFd::as_raw_fd).chain([waker.as_raw_fd()]);
        ring.register_files(&files.collect::<Vec<_>>())?;
        let mut layout = Box::new(empty_header().msg_hdr);
        layout.msg_namelen = NAME_SOCKLEN_MAX;
        layout.msg_controllen = RECEIVE_LEN_MAX as _;
        let buffers = BufferRing::new(slots);
        // SAFETY: `drop` below drops the buffers only when they are unregistered, and nothing fails
        // until then.
        unsafe { buffers.register(&ring) }?;
        Ok(Self {
            ring,
            buffers: ManuallyDrop::new(buffers),
            lending: Lending::new(slots),
            layout,
            armed: vec![false; sockets.len()].into(),
            waker_armed: false,
            // At most one for each slot, and the last word of each reception.
            heard: Vec::with_capacity(usize::from(slots) + 2 * sockets.len()),
            overflows: 0,
            broken: false,
            files: (sockets, waker),
        })
    }

    /// Whether the kernel knows every operation used here.
    pub(super) fn knows_operations(&self) -> io::Result<bool> {
        use opcode::{PollAdd, RecvMsgMulti, Send, SendMsg};
        for code in [RecvMsgMulti::CODE, SendMsg::CODE, Send::CODE, PollAdd::CODE] {
            if !self.ring.knows(code)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lends free slots to the kernel.
    pub(super) fn provide(&mut self, inbox: &mut Inbox) {
        inbox.recycle();
        while self.buffers.lent() < self.lending.count() {
            let Some(slot) = inbox.take_free() else { break };
            self.buffers.provide(slot);
        }
        self.buffers.publish();
    }

    /// Arms what is not under way, submits, and waits until something arrives or `deadline` passes.
    pub(super) fn wait(&mut self, deadline: Instant) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the ring took no submission before"));
        }
        self.arm()?;
        let timeout = deadline.saturating_duration_since(Instant::now());
        let pending = self.heard.len() + self.ring.completions().len() > 0;
        if !pending && !timeout.is_zero() {
            self.ring.wait(timeout)?;
        } else if self.ring.is_due() {
            self.ring.submit()?;
        }
        Ok(())
    }

    fn arm(&mut self) -> io::Result<()> {
        for (socket, armed) in (0..).zip(&mut self.armed) {
            if *armed {
                continue;
            }
            let entry = opcode::RecvMsgMulti::new(Fixed(socket), &raw const *self.layout, GROUP)
                .build()
                .user_data(user_data(RECEIVE, socket));
            // SAFETY: the layout is boxed, and owned by `self` as the ring is; its name and vector
            // are null. The slots received into are the buffer ring's, which outlives all
            // operations.
            unsafe { self.ring.push(&entry) }?;
            *armed = true;
        }
        if !self.waker_armed {
            let waker = u32::try_from(self.armed.len()).expect("at most 256 sockets");
            let entry = opcode::PollAdd::new(Fixed(waker), libc::POLLIN as u32)
                .multi(true)
                .build()
                .user_data(user_data(WAKE, 0));
            // SAFETY: the entry points to nothing.
            unsafe { self.ring.push(&entry) }?;
            self.waker_armed = true;
        }
        Ok(())
    }

    /// Takes all completions: of receptions into `heard`, of sends, which are all refusals, into
    /// `failures`.
    fn collect(&mut self, failures: &mut Vec<Failure>) {
        for completion in self.ring.completions() {
            let (what, which) = what(completion.user_data());
            match what {
                SEND => {
                    let errno = -completion.result();
                    failures.push(Failure { index: which as usize, errno });
                }
                RECEIVE => self.heard.push(completion),
                _ => self.waker_armed &= more(completion.flags()),
            }
        }
    }

    /// Delivers what was received.
    pub(super) fn deliver(&mut self, reception: &mut Reception, inbox: &mut Inbox) {
        let mut refusals = Vec::new();
        self.collect(&mut refusals);
        assert!(refusals.is_empty(), "every send is settled by the turn that made it");
        let mut heard = std::mem::take(&mut self.heard);
        let (count, overflows) = (heard.len(), self.overflows);
        for completion in heard.drain(..) {
            self.hear(&completion, reception, inbox);
        }
        self.heard = heard;
        self.lending.learn(count, self.overflows > overflows);
    }

    fn hear(&mut self, completion: &cqueue::Entry, reception: &mut Reception, inbox: &mut Inbox) {
        let socket = what(completion.user_data()).1;
        self.armed[socket as usize] &= more(completion.flags());
        self.overflows += u64::from(completion.result() == -libc::ENOBUFS);
        let Some(buffer) = buffer_select(completion.flags()) else { return };
        // SAFETY: the completion, of this ring, names the buffer. It is looked at once, before the
        // slot is next provided: that happens only to slots in the inbox.
        let slot = unsafe { self.buffers.take(buffer) };
        let slot = slot.expect("the kernel names only buffers it was lent");
        if completion.result() < 0 {
            return inbox.put_back(slot);
        }
        let socket = u8::try_from(socket).expect("at most 256 sockets");
        match describe(&slot, socket, &self.layout, reception) {
            Ok(heard) => inbox.deliver(slot, heard),
            Err(reason) => inbox.refuse(slot, reason),
        }
    }
}

fn describe(
    slot: &Slot,
    socket: u8,
    layout: &libc::msghdr,
    reception: &mut Reception,
) -> Result<crate::network::Heard, DropReason> {
    let out = RecvMsgOut::parse(slot.memory(), layout).map_err(|()| DropReason::Truncated)?;
    reception.hear(&Raw {
        socket,
        name: out.name_data(),
        control: out.control_data(),
        flags: out.flags().cast_signed(),
        offset: PAYLOAD_OFFSET,
        len: out.payload_data().len(),
    })
}

impl Flush for Engine {
    fn flush(&mut self, batch: &mut Batch<'_>, failures: &mut Vec<Failure>) {
        let headers = batch.arm();
        let sent = self.submit_sends(headers, batch);
        self.collect(failures);
        if sent.is_err() {
            self.broken = true;
            // The queue holds entries that point to the headers, and is never submitted again; but
            // should the kernel come by them all the same, it finds nothing there.
            batch.disarm();
            failures.clear();
            let all = (0..batch.len()).map(|index| Failure { index, errno: libc::EIO });
            failures.extend(all);
        }
    }

    fn sockets(&self) -> &[UdpSocket] {
        &self.files.0
    }
}

impl Engine {
    fn submit_sends(&mut self, headers: *mut libc::mmsghdr, batch: &Batch<'_>) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for (index, note) in (0..).zip(batch.notes()) {
            // SAFETY: `index` is below the batch's length, and `arm` answered that many headers,
            // which may be read with all they point to until the batch changes.
            let entry = unsafe { send_entry(headers, index, note) };
            // SAFETY: `arm` answered headers that may be read with all they point to until the
            // batch changes, which it does not before `flush` is over. When the submission below
            // succeeds, the kernel has carried the send out or refused it (MSG_DONTWAIT). When it
            // fails, the queue is never submitted again.
            unsafe { self.ring.push(&entry) }?;
        }
        self.ring.submit()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let released = self.ring.cancel_all().and_then(|()| self.buffers.unregister(&self.ring));
        if released.is_ok() {
            // SAFETY: dropped here, once, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.buffers) };
        }
        // Else the kernel may still write to the buffers: leaked memory is better than freed
        // memory.
    }
}

/// The entry that sends message `index` of an armed batch. Without control messages it is a send to an address, which
/// spares the kernel reading header and vector.
///
/// # Safety
/// `index` is below the batch's length, and the headers are as [`Batch::arm`] answered them.
pub(in crate::network) unsafe fn send_entry(
    headers: *mut libc::mmsghdr,
    index: u32,
    note: &Note,
) -> squeue::Entry {
    let socket = Fixed(note.socket.into());
    let header = headers.wrapping_add(index as usize).cast::<libc::msghdr>();
    // SAFETY: one of the batch's headers, says the caller; an `mmsghdr` begins with its `msghdr`.
    let message = unsafe { header.read() };
    let entry = if message.msg_controllen > 0 {
        opcode::SendMsg::new(socket, header).flags(SEND_FLAGS).build()
    } else {
        // SAFETY: an armed header points to its one vector.
        let bytes = unsafe { message.msg_iov.read() };
        let len = u32::try_from(bytes.iov_len).expect("a train is below 64 KiB");
        opcode::Send::new(socket, bytes.iov_base.cast(), len)
            .flags(SEND_FLAGS.cast_signed())
            .dest_addr(message.msg_name.cast())
            .dest_addr_len(message.msg_namelen)
            .build()
    };
    entry.flags(Flags::SKIP_SUCCESS).user_data(user_data(SEND, index))
}

fn user_data(what: u32, which: u32) -> u64 {
    u64::from(what) << 32 | u64::from(which)
}

fn what(user_data: u64) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation, reason = "the halves are taken apart")]
    ((user_data >> 32) as u32, user_data as u32)
}
