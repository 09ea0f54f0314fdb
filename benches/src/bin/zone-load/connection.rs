//! HTTP/1.1 over TLS by hand: the client must cost little beside the controller that is measured.

use crate::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// One request, whole; status and body of its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<(u16, String), Failure> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the controller closed the connection".into());
            }
            if let Some(answer) = whole(&self.read)? {
                return Ok(answer);
            }
        }
    }
}

/// An answer, once all of it is there. The controller always tells the length.
fn whole(read: &[u8]) -> Result<Option<(u16, String)>, Failure> {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&read[..end])?;
    let status = head.get(9..12).ok_or("no status")?.parse()?;
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let len: usize = len.ok_or("no length")?.parse()?;
    let body = read.get(end + 4..end + 4 + len);
    Ok(body.map(|body| (status, String::from_utf8_lossy(body).into_owned())))
}
