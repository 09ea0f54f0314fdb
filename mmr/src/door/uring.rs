//! The seam on io_uring: tokio-uring with default ring flags (its driver stalls with
//! DEFER_TASKRUN).

use super::limits::{RING_COMPLETIONS, RING_ENTRIES};
use super::socket::{Listener, Socket};
use crate::network::borrow::stream_fd;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream, UnixStream};

/// A runtime whose ring was seen to work.
///
/// # Errors
/// io_uring is missing, forbidden, or lacks what is used here.
pub(super) fn runtime() -> io::Result<tokio_uring::Runtime> {
    let mut ring = tokio_uring::uring_builder();
    ring.setup_cqsize(RING_COMPLETIONS);
    let mut builder = tokio_uring::builder();
    builder.entries(RING_ENTRIES).uring_builder(&ring);
    let runtime = tokio_uring::Runtime::new(&builder)?;
    runtime.block_on(probe())?;
    Ok(runtime)
}

/// Sends a byte through the ring and back, as some sandboxes let a ring be made and then refuse its
/// operations.
async fn probe() -> io::Result<()> {
    let (near, far) = StdUnixStream::pair()?;
    let (near, far) = (UnixStream::from_std(near), UnixStream::from_std(far));
    near.write(vec![1]).submit().await.0?;
    far.read(vec![0]).await.0?;
    Ok(())
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        // Blocking on purpose: the ring answers EAGAIN on a non-blocking descriptor instead of
        // waiting.
        listener.set_nonblocking(false)?;
        Ok(Self::from_std(listener))
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

impl Socket for TcpStream {
    async fn read(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.read(buffer).await
    }

    async fn write(&self, buffer: Vec<u8>, from: usize) -> (io::Result<usize>, Vec<u8>) {
        let (result, slice) = self.write(buffer.slice(from..)).submit().await;
        (result, slice.into_inner())
    }

    fn fd(&self) -> BorrowedFd<'_> {
        stream_fd(self)
    }
}
