//! The one seam between the connections' logic and what the thread runs on: owned buffers go in and
//! come back.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::BorrowedFd;

/// A listener of one of the runtimes.
pub(super) trait Listener: Sized + 'static {
    /// What it accepts.
    type Socket: Socket;

    /// Takes a bound, blocking listener over. Called on the runtime's thread.
    fn from_std(listener: std::net::TcpListener) -> io::Result<Self>;

    /// The next connection. Not cancelled: a listener that is shut down answers with an error.
    async fn accept(&self) -> io::Result<(Self::Socket, SocketAddr)>;
}

/// A connection of one of the runtimes. One read and one write may be under way at a time; neither
/// can be taken back, [`hang_up`] ends them.
pub(super) trait Socket: 'static {
    /// Reads at most `buffer.len()` bytes into its front.
    async fn read(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>);

    /// Writes some of `buffer[from..]`.
    async fn write(&self, buffer: Vec<u8>, from: usize) -> (io::Result<usize>, Vec<u8>);

    /// For options and for passing the connection on.
    fn fd(&self) -> BorrowedFd<'_>;
}

/// Ends a connection both ways: reads and writes under way come back, the peer hears a FIN.
pub(super) fn hang_up(socket: &impl Socket) {
    // The only error is "not connected": the peer was faster.
    let _ = socket2::SockRef::from(&socket.fd()).shutdown(Shutdown::Both);
}
