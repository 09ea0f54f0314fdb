//! recvmmsg and sendmmsg on memory taken once. The only unsafe code of the floors.

use super::Floor;
use socket2::SockAddr;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Datagrams of one recvmmsg.
const RECEIVE_MAX: usize = 64;
/// Messages of one sendmmsg (UIO_MAXIOV).
const SEND_MAX: usize = 1_024;
const PLAIN_LEN: usize = 2_048;
const TRAIN_LEN: usize = 65_536;
/// Room for one control message of an `int` or less, aligned as `cmsghdr` wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);
/// CMSG_SPACE(4) on 64-bit Linux: a header of 16 bytes, and 8 for the value.
const CONTROL_LEN: usize = 24;
const CONTROL_DATA: usize = 16;

/// What came in.
pub(super) struct Datagram<'r> {
    pub(super) source_port: u16,
    bytes: &'r [u8],
    /// Of each packet of a train; 0: a single packet.
    segment: u16,
}

/// What recvmmsg fills. Headers point into the boxes beside them, which never move.
pub(super) struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    memory: Box<[u8]>,
    len: usize,
    _vectors: Box<[libc::iovec]>,
}

impl Receiver {
    pub(super) fn new(floor: Floor) -> Self {
        let len = if floor == Floor::Gso { TRAIN_LEN } else { PLAIN_LEN };
        let mut memory = vec![0_u8; len * RECEIVE_MAX].into_boxed_slice();
        let mut vectors: Box<[_]> = memory
            .chunks_mut(len)
            .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: len })
            .collect();
        let headers = vectors.iter_mut().map(|vector| header(std::ptr::from_mut(vector))).collect();
        Self {
            headers,
            // SAFETY: all zeros is a valid sockaddr_storage.
            names: vec![unsafe { std::mem::zeroed() }; RECEIVE_MAX].into(),
            controls: vec![Control([0; CONTROL_LEN]); RECEIVE_MAX].into(),
            memory,
            len,
            _vectors: vectors,
        }
    }

    /// Waits for a datagram, takes it and those behind it.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let (names, controls) = (self.names.as_mut_ptr(), self.controls.as_mut_ptr());
        for (index, header) in self.headers.iter_mut().enumerate() {
            header.msg_hdr.msg_name = names.wrapping_add(index).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_control = controls.wrapping_add(index).cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        let headers = self.headers.as_mut_ptr();
        let (fd, flags) = (socket.as_raw_fd(), libc::MSG_WAITFORONE);
        // SAFETY: RECEIVE_MAX headers, whose names, controls and vectors point to as many elements of boxes owned by
        // `self`, which is borrowed mutably; the kernel keeps no pointer beyond the call.
        let count =
            unsafe { libc::recvmmsg(fd, headers, RECEIVE_MAX as u32, flags, std::ptr::null_mut()) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// One of those.
    pub(super) fn datagram(&self, index: usize) -> Datagram<'_> {
        let header = &self.headers[index];
        let start = index * self.len;
        Datagram {
            source_port: port(&self.names[index]),
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

fn port(name: &libc::sockaddr_storage) -> u16 {
    // SAFETY: an IPv4 and an IPv6 address both begin with family and port, and the storage is larger than both.
    let name = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
    u16::from_be(name.sin_port)
}

/// What sendmmsg sends: pointers to bytes of a [`Receiver`] and to addresses, good until the flush.
pub(super) struct Sender {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    controls: Box<[Control]>,
    len: usize,
}

impl Sender {
    pub(super) fn new() -> Self {
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let mut vectors: Box<[_]> = vec![empty; SEND_MAX].into();
        let headers = vectors.iter_mut().map(|vector| header(std::ptr::from_mut(vector))).collect();
        Self { headers, vectors, controls: vec![train_control(); SEND_MAX].into(), len: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == SEND_MAX
    }

    pub(super) fn push(&mut self, datagram: &Datagram<'_>, destination: &SockAddr) {
        let index = self.len;
        self.vectors[index] = libc::iovec {
            iov_base: datagram.bytes.as_ptr().cast_mut().cast(),
            iov_len: datagram.bytes.len(),
        };
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = destination.as_ptr().cast_mut().cast();
        header.msg_namelen = destination.len();
        if datagram.segment == 0 || usize::from(datagram.segment) >= datagram.bytes.len() {
            header.msg_control = std::ptr::null_mut();
            header.msg_controllen = 0;
        } else {
            let control = &mut self.controls[index];
            control.0[CONTROL_DATA..CONTROL_DATA + 2]
                .copy_from_slice(&datagram.segment.to_ne_bytes());
            header.msg_control = std::ptr::from_mut(control).cast();
            header.msg_controllen = CONTROL_LEN as _;
        }
        self.len += 1;
    }

    /// Sends all; what the kernel refuses is lost.
    pub(super) fn flush(&mut self, socket: &UdpSocket) {
        let mut sent = 0;
        while sent < self.len {
            let left = (self.len - sent) as u32;
            let first = self.headers[sent..].as_mut_ptr();
            // SAFETY: `left` headers follow `first`; what they point to is borrowed by the caller of `push` until
            // here: `forward` flushes before it receives again and before its tables go. The kernel only reads it.
            let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), first, left, 0) };
            sent += usize::try_from(count).unwrap_or(1);
        }
        self.len = 0;
    }
}

/// A message of one vector and nothing else.
fn header(vector: *mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all zeros is a valid mmsghdr.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
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
