//! A connection for the control channel, from the door's hand to its end.

use super::admission::Admitted;
use super::channel::Channel;
use super::limits::{CHANNEL_QUEUE_MAX, UPGRADE_DEADLINE};
use super::request::{CloseReason, Outgoing, Request};
use super::upgrade::{UpgradeError, upgrade};
use crate::exchange::ControlStream;
use crate::tls::Prefixed;
use router::ChannelId;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use wire::mark::Dscp;

/// A connection that was admitted.
pub(super) struct Newcomer {
    pub(super) id: ChannelId,
    pub(super) stream: ControlStream,
    /// Its place, kept until the channel has ended.
    pub(super) admitted: Admitted,
    pub(super) acceptor: TlsAcceptor,
    pub(super) requests: mpsc::Sender<Request>,
    /// The mark of its packets.
    pub(super) mark: watch::Receiver<Dscp>,
}

impl Newcomer {
    /// Upgrades the connection and serves it until it ends.
    pub(super) async fn serve(self) {
        let Ok(stream) = prefixed(self.stream) else {
            return refuse(&self.requests, "tls").await;
        };
        let socket = match timeout(UPGRADE_DEADLINE, upgrade(stream, self.acceptor)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(UpgradeError::Tls)) => return refuse(&self.requests, "tls").await,
            Ok(Err(UpgradeError::Http)) => return refuse(&self.requests, "http").await,
            Err(_) => return refuse(&self.requests, "late").await,
        };
        let (messages, outgoing) = mpsc::channel(CHANNEL_QUEUE_MAX);
        let cut = Arc::new(Notify::new());
        let ours = Outgoing { messages, cut: Arc::clone(&cut) };
        if self.requests.send(Request::Opened(self.id, ours)).await.is_err() {
            return;
        }
        let channel = Channel::new(self.id, socket, self.requests.clone(), outgoing, self.mark);
        let reason = tokio::select! {
            reason = channel.run() => reason,
            () = cut.notified() => CloseReason::Slow,
        };
        // The control thread has ended when nobody hears this.
        let _ = self.requests.send(Request::Closed(self.id, reason)).await;
        drop(self.admitted);
    }
}

fn prefixed(stream: ControlStream) -> io::Result<Prefixed<TcpStream>> {
    stream.socket.set_nonblocking(true)?;
    stream.socket.set_nodelay(true)?;
    Ok(Prefixed::new(stream.hello, TcpStream::from_std(stream.socket)?))
}

async fn refuse(requests: &mpsc::Sender<Request>, reason: &'static str) {
    let _ = requests.send(Request::Refused(reason)).await;
}
