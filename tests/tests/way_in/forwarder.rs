//! A long way: connections are forwarded, and every byte takes its time. Kernels of test machines often have no netem.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tests::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep_until;

/// Bytes on their way, and when they arrive.
type OnTheWay = VecDeque<(Instant, Vec<u8>)>;

/// Takes connections on a host and leads them to another address, with so much delay each way. Ends with the test's
/// process.
pub fn start(host: &Host, at: SocketAddr, to: SocketAddr, delay: Duration) {
    let (ready, listening) = std::sync::mpsc::channel();
    host.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind(at).await.unwrap();
            ready.send(()).unwrap();
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let far = TcpStream::connect(to).await?;
                    near.set_nodelay(true)?;
                    far.set_nodelay(true)?;
                    let (near, far) = (near.into_split(), far.into_split());
                    tokio::try_join!(carry(near.0, far.1, delay), carry(far.0, near.1, delay))
                });
            }
        });
    });
    listening.recv().unwrap();
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let mut on_the_way = OnTheWay::new();
    let mut ended = false;
    loop {
        let mut bytes = vec![0; 16 * 1024];
        let due = on_the_way.front().map(|(at, _)| *at);
        let arrival = async {
            match due {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            len = from.read(&mut bytes), if !ended => match len? {
                0 => ended = true,
                len => {
                    bytes.truncate(len);
                    on_the_way.push_back((Instant::now() + delay, bytes));
                }
            },
            () = arrival => {
                let (_, bytes) = on_the_way.pop_front().unwrap();
                to.write_all(&bytes).await?;
            }
        }
        if ended && on_the_way.is_empty() {
            return to.shutdown().await;
        }
    }
}
