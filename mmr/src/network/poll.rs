//! The backend for hosts where io_uring is forbidden: epoll (mio), recvmmsg and sendmmsg.
//!
//! recvmmsg and sendmmsg are called through libc: nix's wrappers give all messages of a call the
//! same control messages, and borrow their buffers for longer than a turn has them.

use super::address::{NAME_LEN_MAX, NAME_SOCKLEN_MAX, Name};
use super::batch::{Batch, empty_header};
use super::cmsg::RECEIVE_LEN_MAX;
use super::inbox::Inbox;
use super::reception::{Raw, Reception};
use super::sender::{Failure, Flush, Sender};
use super::{LinkError, Network, NetworkConfig, NetworkCounters};
use crate::packet::Slot;
use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use router::{DropCounters, LinkChange, Outbox};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// Datagrams one recvmmsg takes.
const RECEIVE_MAX: usize = 64;
/// Never wait, never raise a signal.
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Non-blocking sockets behind epoll.
pub struct PollNetwork {
    poll: mio::Poll,
    events: Events,
    /// By socket: whether it may have more. epoll tells only of what is new, so this is kept until
    /// EAGAIN.
    ready: Box<[bool]>,
    /// The socket to be read first, so that a busy one cannot take all slots turn after turn.
    first: usize,
    receiver: Receiver,
    reception: Reception,
    sender: Sender,
    sockets: Sockets,
    /// Rings until cleared by its owner; kept open, as epoll forgets closed descriptors.
    _waker: OwnedFd,
}

struct Sockets(Vec<UdpSocket>);

impl PollNetwork {
    /// Registers sockets and waker; takes all memory.
    ///
    /// # Errors
    /// epoll is not to be had, or a socket has no address.
    pub fn new(config: NetworkConfig) -> io::Result<Self> {
        let NetworkConfig { sockets, waker, links, marks } = config;
        let poll = mio::Poll::new()?;
        let all = sockets.iter().map(AsRawFd::as_raw_fd).chain([waker.as_raw_fd()]);
        for (token, fd) in all.enumerate() {
            poll.registry().register(&mut SourceFd(&fd), Token(token), Interest::READABLE)?;
        }
        let bound = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(sockets.len() + 1),
            // What came before epoll watched is not told; so look once.
            ready: vec![true; sockets.len()].into(),
            first: 0,
            receiver: Receiver::new(),
            reception: Reception::new(sockets.len()),
            sender: Sender::new(links, &bound, marks),
            sockets: Sockets(sockets),
            _waker: waker,
        })
    }

    fn wait(&mut self, deadline: Instant) -> io::Result<()> {
        let pending = self.ready.contains(&true);
        let timeout = deadline.saturating_duration_since(Instant::now());
        let timeout = if pending { std::time::Duration::ZERO } else { timeout };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            if let Some(ready) = self.ready.get_mut(event.token().0) {
                *ready = true;
            }
        }
        Ok(())
    }
}

impl Network for PollNetwork {
    fn receive(&mut self, deadline: Instant, inbox: &mut Inbox) -> io::Result<Instant> {
        inbox.recycle();
        self.wait(deadline)?;
        let now = Instant::now();
        self.reception.begin(now);
        let count = self.sockets.0.len();
        for i in 0..count {
            let socket = (self.first + i) % count;
            let fd = &self.sockets.0[socket];
            while self.ready[socket] && inbox.free_slots() > 0 {
                let number = u8::try_from(socket).unwrap_or(u8::MAX);
                self.ready[socket] = self.receiver.receive(fd, number, &mut self.reception, inbox);
            }
        }
        self.first = (self.first + 1) % count.max(1);
        Ok(now)
    }

    fn transmit(&mut self, outbox: &Outbox, inbox: &Inbox, drops: &mut DropCounters) {
        self.sender.transmit(outbox, inbox, drops, &mut self.sockets);
    }

    fn apply(&mut self, change: LinkChange) -> Result<(), LinkError> {
        self.sender.destinations.apply(change)
    }

    fn counters(&self) -> NetworkCounters {
        NetworkCounters {
            kernel_drops: self.reception.kernel_drops,
            ring_overflows: 0,
            gso_refused: self.sender.gso_refused,
        }
    }
}

/// What recvmmsg fills.
struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[ControlRoom]>,
    slots: Vec<Slot>,
}

/// Where control messages are received; aligned as a `cmsghdr` wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct ControlRoom([u8; RECEIVE_LEN_MAX]);

impl Receiver {
    fn new() -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            headers: vec![empty_header(); RECEIVE_MAX].into(),
            vectors: vec![vector; RECEIVE_MAX].into(),
            names: vec![Name::EMPTY; RECEIVE_MAX].into(),
            controls: vec![ControlRoom([0; RECEIVE_LEN_MAX]); RECEIVE_MAX].into(),
            slots: Vec::with_capacity(RECEIVE_MAX),
        }
    }

    /// One recvmmsg into free slots; answers whether the socket may have more.
    fn receive(
        &mut self,
        fd: &UdpSocket,
        socket: u8,
        reception: &mut Reception,
        inbox: &mut Inbox,
    ) -> bool {
        while self.slots.len() < RECEIVE_MAX {
            let Some(slot) = inbox.take_free() else { break };
            self.slots.push(slot);
        }
        let armed = self.slots.len();
        let heard = self.call(fd);
        for (i, slot) in self.slots.drain(..).enumerate() {
            if i >= heard {
                inbox.put_back(slot);
                continue;
            }
            let header = &self.headers[i].msg_hdr;
            let name_len = NAME_LEN_MAX.min(header.msg_namelen as usize);
            let control_len = RECEIVE_LEN_MAX.min(header.msg_controllen as _);
            let raw = Raw {
                socket,
                name: &self.names[i].bytes[..name_len],
                control: &self.controls[i].0[..control_len],
                flags: header.msg_flags,
                offset: 0,
                len: self.headers[i].msg_len as usize,
            };
            match reception.hear(&raw) {
                Ok(heard) => inbox.deliver(slot, heard),
                Err(reason) => inbox.refuse(slot, reason),
            }
        }
        armed > 0 && heard == armed
    }

    /// How many datagrams the kernel put into the slots, from the first on; 0 when it has none.
    fn call(&mut self, fd: &UdpSocket) -> usize {
        let (names, vectors) = (self.names.as_mut_ptr(), self.vectors.as_mut_ptr());
        let controls = self.controls.as_mut_ptr();
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let memory = slot.memory_mut();
            let vector =
                libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: memory.len() };
            // SAFETY: there are RECEIVE_MAX vectors, and never more slots.
            unsafe { vectors.add(i).write(vector) };
            let header = &mut self.headers[i].msg_hdr;
            // The bytes are the first field of names and control rooms.
            header.msg_name = names.wrapping_add(i).cast();
            header.msg_namelen = NAME_SOCKLEN_MAX;
            header.msg_iov = vectors.wrapping_add(i);
            header.msg_iovlen = 1;
            header.msg_control = controls.wrapping_add(i).cast();
            header.msg_controllen = RECEIVE_LEN_MAX as _;
            header.msg_flags = 0;
        }
        let armed = u32::try_from(self.slots.len()).expect("at most RECEIVE_MAX");
        let (headers, fd) = (self.headers.as_mut_ptr(), fd.as_raw_fd());
        // SAFETY: the loop above pointed one header for each slot at its vector, name and control
        // room, with their true lengths, and each vector at its slot. `self` owns all of these, in
        // boxes that do not move, and is borrowed mutably; the kernel keeps no pointer beyond the
        // call.
        let heard =
            unsafe { libc::recvmmsg(fd, headers, armed, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        // Negative: EAGAIN, or an error of the socket that is told once and says nothing about its
        // queue.
        usize::try_from(heard).unwrap_or(0)
    }
}

impl Flush for Sockets {
    fn flush(&mut self, batch: &mut Batch<'_>, failures: &mut Vec<Failure>) {
        let headers = batch.arm();
        let notes = batch.notes();
        let mut sent = 0;
        while sent < notes.len() {
            // sendmmsg has one socket a call: as many messages as follow each other on the same
            // one.
            let socket = notes[sent].socket;
            let run = notes[sent..].iter().take_while(|note| note.socket == socket).count();
            let run = u32::try_from(run).expect("at most BATCH_MAX");
            let fd = self.0[usize::from(socket)].as_raw_fd();
            // SAFETY: `sent` is below the batch's length, so this is within its headers.
            let first = unsafe { headers.add(sent) };
            // SAFETY: `arm` answered headers that may be read with all they point to, and the batch
            // has not been changed since; `run` of them follow `first`; the kernel keeps no pointer
            // beyond the call.
            let count = unsafe { libc::sendmmsg(fd, first, run, SEND_FLAGS) };
            if count > 0 {
                sent += usize::try_from(count).expect("positive");
                continue;
            }
            // The first message was refused; the others have their own luck.
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
            failures.push(Failure { index: sent, errno });
            sent += 1;
        }
    }

    fn sockets(&self) -> &[UdpSocket] {
        &self.0
    }
}
