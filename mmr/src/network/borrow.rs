//! A borrowed descriptor of a tokio-uring stream, which gives out a bare number only.

use std::os::fd::{AsRawFd, BorrowedFd};
use tokio_uring::net::TcpStream;

/// The stream's descriptor, for socket options. Do not read or write by it: operations may be in
/// flight in the ring.
pub(crate) fn stream_fd(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns its descriptor and closes it when dropped or closed, both of which
    // need it by value; the result borrows the stream for as long as it lives, so the descriptor
    // stays open. It is never -1: a stream is only made of an accepted or connected socket.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}
