//! A link: one media connection of one kind, kept alive and repaired by a task of its own.

mod check;
mod driver;
mod dscp;
mod establish;
mod probe;
mod rtcp;
mod sniff;
mod stream;
#[cfg(test)]
mod tests;
mod udp;

pub use dscp::DscpSet;
pub use establish::Attempt;
pub(crate) use probe::{ProbeStep, describe_tls, probe, step};

use crate::dial::{Dialer, MmrDialer};
use crate::media::Frame;
use crate::options::TransportChoice;
use crate::receive::{Delivery, LayerReceiver, LayerStatistics};
use crate::send::{LayerSender, SenderStatistics};
use crate::way::{Journal, Way};
use crate::{ClientError, limits};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use wire::control::{Addresses, Secret, SrtcpKeys};
use wire::{Kind, Ssrc, Transport};

/// What the MMR gave for a link.
#[derive(Clone, Debug)]
pub struct LinkInfo {
    /// Of which kind.
    pub kind: Kind,
    /// The MMR's user fragment.
    pub ufrag: String,
    /// For checks in both directions.
    pub password: Secret,
    /// The link's RTCP keys.
    pub srtcp_keys: SrtcpKeys,
    /// Where it can be bound.
    pub addresses: Addresses,
}

impl LinkInfo {
    /// The addresses of one transport that may be used the way the MMR is reached, best first.
    pub(crate) fn addresses_of(&self, transport: Transport, dialer: &Dialer) -> Vec<SocketAddr> {
        let all = match transport {
            Transport::Udp => &self.addresses.udp,
            Transport::Tcp => &self.addresses.tcp,
            Transport::Tls => &self.addresses.tls,
        };
        let usable =
            |to: &&SocketAddr| dialer.allows(to.ip()) && dialer.carries(to.ip(), transport);
        all.iter().filter(usable).copied().take(limits::ADDRESSES_MAX).collect()
    }
}

/// How a link fares.
#[derive(Clone, Debug, Serialize)]
pub struct LinkReport {
    /// Of which kind.
    pub kind: Kind,
    /// How it travels.
    pub transport: Transport,
    /// What its connection goes through.
    pub way: Way,
    /// This end.
    pub local: SocketAddr,
    /// The MMR's end.
    pub remote: SocketAddr,
    /// This end as the MMR sees it.
    pub mapped: SocketAddr,
    /// Of the last answered check.
    pub round_trip_us: u64,
    /// Marks of arriving packets; `None` where the system does not tell (TCP and TLS without CAP_NET_RAW).
    pub dscp: Option<DscpSet>,
    /// What was tried to bind it, in order.
    pub attempts: Vec<Attempt>,
    /// How often it was bound anew.
    pub rebound: u32,
    /// Packets that arrived for no layer of this link, or were not authentic.
    pub strangers: u64,
    /// Packets that could not be sent at once and were dropped.
    pub unsent: u64,
}

/// How a test moves a UDP link to another local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebinding {
    /// As a host that changed networks: checks at once.
    Noticed,
    /// As behind a NAT that forgot the binding: nothing tells this end.
    Silent,
}

/// A handle; clones are the same link. When the last one goes, the link closes.
#[derive(Clone)]
pub struct Link {
    kind: Kind,
    commands: mpsc::Sender<Command>,
    silent: Arc<AtomicBool>,
    task: AbortHandle,
}

/// What a link's task is told.
enum Command {
    AddSender(Box<LayerSender>),
    RemoveSender(Ssrc, oneshot::Sender<SenderStatistics>),
    Send(Ssrc, Frame, oneshot::Sender<Result<(), ClientError>>),
    Linger,
    AddReceiver(Box<LayerReceiver>, mpsc::Sender<Delivery>),
    RemoveReceiver(Ssrc, oneshot::Sender<LayerStatistics>),
    Report(oneshot::Sender<LinkReport>),
    Rebind(Rebinding, oneshot::Sender<io::Result<SocketAddr>>),
}

impl Link {
    /// Binds a link over the first transport that works.
    pub(crate) async fn bind(
        info: LinkInfo,
        dialer: MmrDialer,
        choice: TransportChoice,
        journal: &Journal,
    ) -> Result<Self, ClientError> {
        let kind = info.kind;
        let info = Arc::new(info);
        let mut attempts = Vec::new();
        let started = std::time::Instant::now();
        let bound = establish::bind(&info, &dialer, choice, &mut attempts).await;
        journal.note_attempts(kind, &attempts, started, |to| {
            dialer.dialer.way_to(&to.ip().to_string())
        });
        let Some(bound) = bound else {
            return Err(ClientError::NoTransport { kind, attempts });
        };
        let (commands, orders) = mpsc::channel(limits::COMMANDS_MAX);
        let driver = driver::Driver::new(info, dialer, choice, bound, attempts);
        let silent = driver.silent();
        let task = tokio::spawn(driver.run(orders)).abort_handle();
        Ok(Self { kind, commands, silent, task })
    }

    /// Of which kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the MMR has not been heard for [`limits::SILENT_AFTER`], although the link is in use and it was asked.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Lets a layer be sent over this link.
    pub async fn add_sender(&self, sender: LayerSender) -> Result<(), ClientError> {
        self.tell(Command::AddSender(Box::new(sender))).await
    }

    /// Sends a frame of a layer now.
    ///
    /// # Errors
    /// When the frame does not fit its payload format, or the link is closed.
    pub async fn send(&self, layer: Ssrc, frame: Frame) -> Result<(), ClientError> {
        self.ask(|sent| Command::Send(layer, frame, sent)).await?
    }

    /// The layers' last frames were sent: report more often, so that receivers hear how many there were.
    pub async fn linger(&self) -> Result<(), ClientError> {
        self.tell(Command::Linger).await
    }

    /// Ends a layer; what became of it.
    pub async fn remove_sender(&self, layer: Ssrc) -> Result<SenderStatistics, ClientError> {
        self.ask(|answer| Command::RemoveSender(layer, answer)).await
    }

    /// Takes a layer that arrives over this link; its packets come in order.
    pub async fn add_receiver(
        &self,
        receiver: LayerReceiver,
    ) -> Result<mpsc::Receiver<Delivery>, ClientError> {
        let (sender, deliveries) = mpsc::channel(limits::DELIVERIES_MAX);
        self.tell(Command::AddReceiver(Box::new(receiver), sender)).await?;
        Ok(deliveries)
    }

    /// Takes a layer no longer; how it fared.
    pub async fn remove_receiver(&self, layer: Ssrc) -> Result<LayerStatistics, ClientError> {
        self.ask(|answer| Command::RemoveReceiver(layer, answer)).await
    }

    /// How the link fares.
    pub async fn report(&self) -> Result<LinkReport, ClientError> {
        self.ask(Command::Report).await
    }

    /// For tests: moves a UDP link to another local port and tells it.
    pub async fn rebind(&self, rebinding: Rebinding) -> Result<SocketAddr, ClientError> {
        let moved = self.ask(|answer| Command::Rebind(rebinding, answer)).await?;
        moved.map_err(|cause| ClientError::Io { what: "rebinding the link".into(), cause })
    }

    /// For tests: ends the link at once, without a word. Nothing is received or answered any more.
    pub fn vanish(&self) {
        self.task.abort();
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, ClientError> {
        let (answer, answered) = oneshot::channel();
        self.tell(command(answer)).await?;
        answered.await.map_err(|_| ClientError::LinkClosed(self.kind))
    }

    async fn tell(&self, command: Command) -> Result<(), ClientError> {
        self.commands.send(command).await.map_err(|_| ClientError::LinkClosed(self.kind))
    }
}

/// The sockets below a link.
enum Path {
    Udp(udp::UdpPath),
    Stream(stream::StreamPath),
}

impl Path {
    /// The next packet, and its mark where that is known by packet. May be dropped while it waits.
    async fn receive(&mut self) -> io::Result<(Vec<u8>, Option<u8>)> {
        match self {
            Self::Udp(path) => path.receive().await,
            Self::Stream(path) => path.receive().await.map(|packet| (packet, None)),
        }
    }

    /// Sends packets of `segment` bytes each but for the last. False when not all could be taken.
    fn send(&mut self, bytes: &[u8], segment: usize) -> bool {
        match self {
            Self::Udp(path) => path.send(bytes, segment),
            Self::Stream(path) => path.send(bytes, segment),
        }
    }

    fn remote(&self) -> SocketAddr {
        match self {
            Self::Udp(path) => path.remote(),
            Self::Stream(path) => path.remote(),
        }
    }

    fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(path) => path.local(),
            Self::Stream(path) => Ok(path.local()),
        }
    }
}
