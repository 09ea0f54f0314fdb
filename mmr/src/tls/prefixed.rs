//! A stream with bytes in front that were read from it before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads `prefix` first, then the stream; writes go straight to the stream. The control thread
/// finishes the TLS handshake on one, with the ClientHello the door read in front.
#[derive(Debug)]
pub struct Prefixed<S> {
    prefix: Vec<u8>,
    given: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    /// Puts `prefix` in front of `stream`.
    pub fn new(prefix: Vec<u8>, stream: S) -> Self {
        Self { prefix, given: 0, stream }
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given == self.prefix.len() {
            return Pin::new(&mut self.stream).poll_read(context, out);
        }
        let end = self.prefix.len().min(self.given + out.remaining());
        out.put_slice(&self.prefix[self.given..end]);
        self.given = end;
        if self.given == self.prefix.len() {
            // The hello is needed no more, the connection may live for hours.
            self.prefix = Vec::new();
            self.given = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[test]
    fn gives_the_prefix_in_pieces_then_the_stream() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut stream = Prefixed::new(b"hello".to_vec(), &b" world"[..]);
            let mut first = [0; 3];
            stream.read_exact(&mut first).await.unwrap();
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.unwrap();
            assert_eq!((&first, rest.as_str()), (b"hel", "lo world"));
        });
    }

    #[test]
    fn an_empty_prefix_changes_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut out = Vec::new();
        let mut stream = Prefixed::new(Vec::new(), &b"abc"[..]);
        runtime.block_on(stream.read_to_end(&mut out)).unwrap();
        assert_eq!(out, b"abc");
    }
}
