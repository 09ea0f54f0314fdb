//! Borrowed descriptors: of a tokio-uring stream, which gives out a bare number only, and watched
//! by tokio, which cannot see that a borrow keeps them open.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_uring::net::TcpStream;

/// The stream's descriptor, for socket options. Do not read or write by it: operations may be in
/// flight in the ring.
pub(crate) fn stream_fd(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns its descriptor and closes it when dropped or closed, both of which
    // need it by value; the result borrows the stream for as long as it lives, so the descriptor
    // stays open. It is never -1: a stream is only made of an accepted or connected socket.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// Watches a descriptor for becoming readable, within a tokio runtime with I/O enabled.
///
/// # Errors
/// It can't be polled, or epoll has no room.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: a `BorrowedFd` is open for as long as its lifetime lasts, which the result carries
    // and so cannot outlive, and it always answers the same number: it is a copy of it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}
