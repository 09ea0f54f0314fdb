//! A connection, whatever it goes through.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a TCP connection, TLS inside one, and what goes on behind a proxy have in common.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// Bytes both ways.
pub(crate) struct Stream {
    inner: Box<dyn ByteStream>,
    local: SocketAddr,
}

impl Stream {
    /// A TCP connection to the host itself.
    pub(super) fn direct(stream: TcpStream) -> io::Result<Self> {
        // Packets are written whole; waiting for more of them only delays media.
        stream.set_nodelay(true)?;
        Ok(Self { local: stream.local_addr()?, inner: Box::new(stream) })
    }

    /// What goes on inside another connection.
    pub(super) fn inside(local: SocketAddr, inner: impl ByteStream + 'static) -> Self {
        Self { inner: Box::new(inner), local }
    }

    /// This end of the TCP connection at the bottom.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
