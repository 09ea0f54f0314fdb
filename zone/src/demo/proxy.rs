//! An HTTP proxy as offices have them: CONNECT (RFC 9110 §9.3.6) over HTTP/1.1, to ports that are allowed, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// Longest head of a request that is read, in bytes.
const HEAD_LEN_MAX: usize = 8 * 1024;
/// For a request's head, and for a connection to where it leads.
const PATIENCE: Duration = Duration::from_secs(5);

/// A proxy that runs; ends when it is dropped.
pub(super) struct Proxy {
    address: SocketAddr,
    serving: AbortHandle,
}

impl Proxy {
    /// On a free port of loopback; leads to these addresses alone, or to all of loopback.
    pub(super) async fn start(only: Option<Vec<SocketAddr>>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(serve(listener, Arc::new(only))).abort_handle();
        Ok(Self { address, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, only: Arc<Option<Vec<SocketAddr>>>) {
    // Connections end with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let only = Arc::clone(&only);
        connections.spawn(async move {
            // Whose connection breaks has heard of it.
            let _ = carry(client, (*only).as_deref()).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, only: Option<&[SocketAddr]>) -> io::Result<()> {
    let head = timeout(PATIENCE, read_head(&mut client)).await??;
    let asked = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let target = asked.and_then(|target| target.parse::<SocketAddr>().ok());
    let is_allowed = |target: &SocketAddr| {
        target.ip().is_loopback() && only.is_none_or(|only| only.contains(target))
    };
    let Some(target) = target.filter(is_allowed) else {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    };
    let Ok(mut server) = timeout(PATIENCE, TcpStream::connect(target)).await? else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    // Media is in small pieces, and must not wait for more of them.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Clients wait for the answer before they say more: what is read ends with the head.
async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}
