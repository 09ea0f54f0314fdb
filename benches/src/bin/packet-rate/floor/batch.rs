//! recvmmsg and sendmmsg on memory taken once. The only unsafe code of the floors.

use super::{Destination, Floor};
use std::io;
use std::marker::PhantomData;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

/// Datagrams of one recvmmsg.
const RECEIVE_MAX: u32 = 64;
/// Messages of one sendmmsg (UIO_MAXIOV).
const SEND_MAX: usize = 1_024;
const PLAIN_LEN: usize = 2_048;
const TRAIN_LEN: usize = 65_536;
const NAME_LEN: libc::socklen_t = 28;
/// CMSG_SPACE(4) on 64-bit Linux: a header of 16 bytes, and 8 for the value.
const CONTROL_LEN: usize = 24;
const CONTROL_DATA: usize = 16;

/// Room for one control message of an `int` or less, aligned as `cmsghdr` wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// Room for a socket address of either family: both begin with the family and the port (ip(7), ipv6(7)).
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME_LEN as usize]);

/// What came in.
pub(super) struct Datagram<'r> {
    pub(super) source_port: u16,
    bytes: &'r [u8],
    /// Of each packet of a train; 0: a single packet.
    segment: u16,
}

/// What recvmmsg fills.
pub(super) struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    memory: Box<[u8]>,
    /// Of one datagram's memory.
    len: usize,
}

impl Receiver {
    pub(super) fn new(floor: Floor) -> Self {
        let len = if floor == Floor::Gso { TRAIN_LEN } else { PLAIN_LEN };
        let count = RECEIVE_MAX as usize;
        Self {
            headers: vec![empty_header(); count].into(),
            vectors: vec![EMPTY_VECTOR; count].into(),
            names: vec![Name([0; NAME_LEN as usize]); count].into(),
            controls: vec![Control([0; CONTROL_LEN]); count].into(),
            memory: vec![0; len * count].into(),
            len,
        }
    }

    /// Waits for a datagram, takes it and those behind it: answers how many.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let (names, controls) = (self.names.as_mut_ptr(), self.controls.as_mut_ptr());
        let (vectors, memory) = (self.vectors.as_mut_ptr(), self.memory.as_mut_ptr());
        for (index, header) in self.headers.iter_mut().enumerate() {
            let bytes = memory.wrapping_add(index * self.len).cast();
            let vector = vectors.wrapping_add(index);
            // SAFETY: `headers` and `vectors` are equally long, so this is an element of the latter, which is borrowed
            // mutably through `self` and by nobody else.
            unsafe { vector.write(libc::iovec { iov_base: bytes, iov_len: self.len }) };
            let header = &mut header.msg_hdr;
            header.msg_name = names.wrapping_add(index).cast();
            header.msg_namelen = NAME_LEN;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = controls.wrapping_add(index).cast();
            header.msg_controllen = CONTROL_LEN as _;
        }
        let headers = self.headers.as_mut_ptr();
        let (fd, flags) = (socket.as_raw_fd(), libc::MSG_WAITFORONE);
        // SAFETY: RECEIVE_MAX headers; their names, controls, vectors and bytes are the elements of as many boxes of
        // the lengths given above, owned by `self`, which is borrowed mutably. The kernel keeps no pointer.
        let count = unsafe { libc::recvmmsg(fd, headers, RECEIVE_MAX, flags, ptr::null_mut()) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// One of those.
    pub(super) fn datagram(&self, index: usize) -> Datagram<'_> {
        let header = &self.headers[index];
        let name = &self.names[index].0;
        let start = index * self.len;
        Datagram {
            source_port: u16::from_be_bytes([name[2], name[3]]),
            bytes: &self.memory[start..start + (header.msg_len as usize).min(self.len)],
            segment: match header.msg_hdr.msg_controllen {
                0 => 0,
                _ => segment(&self.controls[index]),
            },
        }
    }
}

/// UDP_GRO's control message, the only one asked for: an `int`.
fn segment(control: &Control) -> u16 {
    let value: [u8; 4] = control.0[CONTROL_DATA..CONTROL_DATA + 4].try_into().unwrap_or_default();
    u16::try_from(u32::from_ne_bytes(value)).unwrap_or_default()
}

/// The arrays behind a [`Batch`].
pub(super) struct SendMemory {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    controls: Box<[Control]>,
    /// What each message is sent through.
    sockets: Box<[RawFd]>,
    /// Messages of one call.
    at_once: usize,
    marked: bool,
}

/// What sendmmsg sends. `'p` is the borrow of the packets and addresses: while the batch is there, so are they.
pub(super) struct Batch<'p> {
    memory: &'p mut SendMemory,
    socket: &'p UdpSocket,
    len: usize,
    packets: PhantomData<&'p [u8]>,
}

impl SendMemory {
    pub(super) fn new(floor: Floor) -> Self {
        let marked = floor == Floor::Marked;
        let control = if marked { mark_control() } else { train_control() };
        let one = matches!(floor, Floor::One | Floor::Connected);
        Self {
            headers: vec![empty_header(); SEND_MAX].into(),
            vectors: vec![EMPTY_VECTOR; SEND_MAX].into(),
            controls: vec![control; SEND_MAX].into(),
            sockets: vec![-1; SEND_MAX].into(),
            at_once: if one { 1 } else { SEND_MAX },
            marked,
        }
    }
}

impl<'p> Batch<'p> {
    pub(super) fn begin(memory: &'p mut SendMemory, socket: &'p UdpSocket) -> Self {
        Self { memory, socket, len: 0, packets: PhantomData }
    }

    /// Adds one message; a full batch is sent first.
    pub(super) fn push(&mut self, datagram: &Datagram<'p>, destination: &'p Destination) {
        if self.len == SEND_MAX {
            self.flush();
        }
        let index = self.len;
        let Datagram { bytes, segment, .. } = datagram;
        // The kernel only reads what a send points to.
        self.memory.vectors[index] =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let header = &mut self.memory.headers[index].msg_hdr;
        let Destination { address, connected } = destination;
        (header.msg_name, header.msg_namelen) = match connected {
            None => (address.as_ptr().cast_mut().cast(), address.len()),
            Some(_) => (ptr::null_mut(), 0),
        };
        self.memory.sockets[index] = connected.as_ref().unwrap_or(self.socket).as_raw_fd();
        header.msg_controllen = if self.memory.marked { CONTROL_LEN as _ } else { 0 };
        if *segment != 0 && usize::from(*segment) < bytes.len() {
            self.memory.controls[index].0[CONTROL_DATA..CONTROL_DATA + 2]
                .copy_from_slice(&segment.to_ne_bytes());
            header.msg_controllen = CONTROL_LEN as _;
        }
        self.len += 1;
    }

    /// Sends all; what the kernel refuses is lost.
    pub(super) fn flush(&mut self) {
        let SendMemory { headers, vectors, controls, sockets, at_once, .. } = &mut *self.memory;
        let (vectors, controls) = (vectors.as_mut_ptr(), controls.as_mut_ptr());
        for (index, header) in headers[..self.len].iter_mut().enumerate() {
            header.msg_hdr.msg_iov = vectors.wrapping_add(index);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = controls.wrapping_add(index).cast();
        }
        let (mut left, mut sockets) = (&mut headers[..self.len], &sockets[..self.len]);
        // With more than one at once they are all the same socket.
        while let (Ok(count @ 1..), Some(&fd)) =
            (u32::try_from(left.len().min(*at_once)), sockets.first())
        {
            let first = left.as_mut_ptr();
            // SAFETY: `count` headers, each filled by `push` since the batch began: names, bytes and what `fd` belongs
            // to are borrowed for 'p, which `self` does not outlive; vectors and controls are elements of `memory`,
            // borrowed mutably. The kernel reads them, writes the headers' lengths, and keeps no pointer.
            let sent = unsafe { libc::sendmmsg(fd, first, count, 0) };
            let sent = usize::try_from(sent).unwrap_or(1);
            (left, sockets) = (&mut left[sent..], &sockets[sent..]);
        }
        self.len = 0;
    }
}

const EMPTY_VECTOR: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };

/// A header that points to nothing.
fn empty_header() -> libc::mmsghdr {
    // SAFETY: an mmsghdr is integers and raw pointers, for which all bits zero is a value: 0 and null.
    unsafe { std::mem::zeroed() }
}

/// UDP_SEGMENT's control message, its value still to be written.
fn train_control() -> Control {
    let mut control = Control([0; CONTROL_LEN]);
    // struct cmsghdr: length with header, level, type. CMSG_LEN(2) is 18.
    control.0[..8].copy_from_slice(&18_u64.to_ne_bytes());
    control.0[8..12].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    control.0[12..16].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    control
}

/// IP_TOS's control message: DSCP 46, whatever the kind.
fn mark_control() -> Control {
    let mut control = Control([0; CONTROL_LEN]);
    // CMSG_LEN(4) is 20.
    control.0[..8].copy_from_slice(&20_u64.to_ne_bytes());
    control.0[8..12].copy_from_slice(&libc::IPPROTO_IP.to_ne_bytes());
    control.0[12..16].copy_from_slice(&libc::IP_TOS.to_ne_bytes());
    control.0[16..20].copy_from_slice(&(46_i32 << 2).to_ne_bytes());
    control
}
