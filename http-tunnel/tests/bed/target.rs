//! What tunnels lead to: servers that say what reached them.

use super::Bed;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server on a free port of loopback. Ends when dropped.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    sent: AtomicU64,
}

impl Target {
    /// Says back what it hears, over TLS; at the end `goodbye`.
    pub(crate) async fn echo(bed: &Bed) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(bed.server_tls()));
        Self::serve(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (mut from, mut to) = tokio::io::split(stream);
                if tokio::io::copy(&mut from, &mut to).await.is_ok() {
                    let _ = to.write_all(b"goodbye").await;
                    let _ = to.shutdown().await;
                }
            }
        })
        .await
    }

    /// Sends without end, as fast as it can.
    pub(crate) async fn flood() -> Self {
        Self::serve(|mut stream, counts| async move {
            let bytes = super::noise(64 * 1024);
            while let Ok(len) = stream.write(&bytes).await {
                counts.sent.fetch_add(len as u64, Ordering::Relaxed);
            }
        })
        .await
    }

    /// Reads nothing, sends nothing, closes nothing.
    pub(crate) async fn silent() -> Self {
        Self::serve(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
    }

    /// Reads everything, sends nothing.
    pub(crate) async fn sink() -> Self {
        Self::serve(|mut stream, _| async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(1..) = stream.read(&mut buffer).await {}
        })
        .await
    }

    /// Closes its direction at once, and reads on.
    pub(crate) async fn half_closed() -> Self {
        Self::serve(|mut stream, _| async move {
            let _ = stream.shutdown().await;
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(1..) = stream.read(&mut buffer).await {}
        })
        .await
    }

    async fn serve<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream, Arc<Counts>) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let seen = Arc::clone(&counts);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream, Arc::clone(&seen)));
            }
        });
        Self { address, counts, serving }
    }

    /// As a client names it.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    /// Connections it has seen.
    pub(crate) fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Bytes it could send.
    pub(crate) fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
