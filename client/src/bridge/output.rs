//! The meeting's streams as plain RTP: one port per stream, and a file that describes them.

use super::RtpOutput;
use super::sdp::{Media, describe};
use crate::receive::{Delivery, LayerReceiver};
use crate::session::{Events, Session, SessionEvent, StreamInfo};
use crate::{ClientError, Link};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use wire::limits::PACKET_LEN_MAX;
use wire::{Kind, Ssrc, StreamId, rtcp};

/// How one stream left the meeting.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// Whose.
    pub participant: String,
    /// Of which kind.
    pub kind: Kind,
    /// Where it went.
    pub address: SocketAddr,
    /// RTP packets sent there.
    pub packets: u64,
    /// Packets that never came from the MMR.
    pub lost: u64,
}

pub(super) struct Output {
    session: Session,
    links: HashMap<Kind, Link>,
    output: Option<RtpOutput>,
    packets: Arc<AtomicU64>,
    /// By place: the port is twice as far from the first.
    forwards: BTreeMap<u16, Forward>,
    version: u64,
    reports: Vec<OutputReport>,
}

/// A stream on its way out.
struct Forward {
    info: StreamInfo,
    media: Media,
    layer: u8,
    ssrc: Ssrc,
    link: Link,
    task: JoinHandle<u64>,
}

impl Output {
    pub(super) fn new(
        session: Session,
        links: HashMap<Kind, Link>,
        output: Option<RtpOutput>,
        packets: Arc<AtomicU64>,
    ) -> Self {
        let (forwards, reports) = (BTreeMap::new(), Vec::new());
        Self { session, links, output, packets, forwards, version: 0, reports }
    }

    /// Without an output it only watches the session.
    pub(super) async fn run(
        mut self,
        mut events: Events,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<Vec<OutputReport>, ClientError> {
        loop {
            let event = tokio::select! {
                _ = &mut stop => break,
                event = events.recv() => event,
            };
            match (event, self.output.clone()) {
                (Some(SessionEvent::Closed(why)), _) => return Err(ClientError::ChannelLost(why)),
                (None, _) => return Err(ClientError::ChannelLost("the session is over".into())),
                (Some(event), Some(output)) => self.handle(event, &output).await?,
                _ => {}
            }
        }
        for place in self.forwards.keys().copied().collect::<Vec<_>>() {
            self.end(place).await?;
        }
        Ok(self.reports)
    }

    async fn handle(&mut self, event: SessionEvent, output: &RtpOutput) -> Result<(), ClientError> {
        match event {
            SessionEvent::StreamAdded(info) => {
                let subscribed = self.session.subscribe(info.stream, u8::MAX).await;
                // A stream that ended meanwhile, or of a kind that is not allowed.
                let Ok((layer, roc)) = subscribed else { return Ok(()) };
                let place = (0..).find(|place| !self.forwards.contains_key(place)).unwrap_or(0);
                self.start(place, info, layer, roc, output).await?;
            }
            SessionEvent::LayerChanged { stream, layer, roc } => {
                let Some(place) = self.place_of(stream) else { return Ok(()) };
                if self.forwards[&place].layer == layer {
                    return Ok(());
                }
                let info = self.forwards[&place].info.clone();
                self.end(place).await?;
                self.start(place, info, layer, roc, output).await?;
            }
            SessionEvent::StreamRemoved(stream) => {
                let Some(place) = self.place_of(stream) else { return Ok(()) };
                self.end(place).await?;
                self.describe(output)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn place_of(&self, stream: StreamId) -> Option<u16> {
        let mut places = self.forwards.iter();
        places.find(|(_, forward)| forward.info.stream == stream).map(|(place, _)| *place)
    }

    async fn start(
        &mut self,
        place: u16,
        info: StreamInfo,
        layer: u8,
        roc: u32,
        output: &RtpOutput,
    ) -> Result<(), ClientError> {
        let Some(link) = self.links.get(&info.kind).cloned() else { return Ok(()) };
        let unknown = ClientError::Protocol("subscribed names a layer that is not in stream_added");
        let told = info.layers.get(usize::from(layer)).ok_or(unknown)?;
        let port = output.address.port().saturating_add(place.saturating_mul(2));
        let address = SocketAddr::new(output.address.ip(), port);
        let media = Media {
            address,
            codec: told.codec,
            payload_type: told.payload_type,
            kind: info.kind,
            participant: info.participant.clone(),
        };
        let socket = socket_to(address).await.map_err(|cause| ClientError::Io {
            what: format!("RTP cannot be sent to {address}"),
            cause,
        })?;
        let deliveries = link.add_receiver(LayerReceiver::new(told, roc)).await?;
        let task = tokio::spawn(forward(socket, address, deliveries, Arc::clone(&self.packets)));
        let ssrc = told.ssrc;
        self.forwards.insert(place, Forward { info, media, layer, ssrc, link, task });
        self.describe(output)
    }

    async fn end(&mut self, place: u16) -> Result<(), ClientError> {
        let Some(forward) = self.forwards.remove(&place) else { return Ok(()) };
        let statistics = forward.link.remove_receiver(forward.ssrc).await?;
        let packets = forward.task.await.unwrap_or(0);
        self.reports.push(OutputReport {
            participant: forward.info.participant,
            kind: forward.info.kind,
            address: forward.media.address,
            packets,
            lost: statistics.lost,
        });
        Ok(())
    }

    /// Replaces the file at once: a player never reads half of it.
    fn describe(&mut self, output: &RtpOutput) -> Result<(), ClientError> {
        self.version += 1;
        let media: Vec<Media> =
            self.forwards.values().map(|forward| forward.media.clone()).collect();
        let text = describe(output.address, self.version, &media);
        let path = output.sdp.clone();
        let mut new = path.clone().into_os_string();
        new.push(".new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(|cause| ClientError::Write { path, cause })
    }
}

async fn socket_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    UdpSocket::bind(any).await
}

/// Sends packets on as they come in order; how many.
async fn forward(
    socket: UdpSocket,
    address: SocketAddr,
    mut deliveries: mpsc::Receiver<Delivery>,
    all: Arc<AtomicU64>,
) -> u64 {
    // RFC 3550 §11: RTCP goes to the next port.
    let reports_to = SocketAddr::new(address.ip(), address.port().saturating_add(1));
    let mut packets = 0;
    while let Some(delivery) = deliveries.recv().await {
        // Nobody may listen yet, or any more: that is no error of plain RTP.
        match delivery {
            Delivery::Packet(packet) => {
                let _ = socket.send_to(&packet.packet, address).await;
                packets += 1;
                all.fetch_add(1, Ordering::Relaxed);
            }
            Delivery::SenderReport(info) => {
                let mut report = [0; PACKET_LEN_MAX];
                if let Some(len) = rtcp::write_sender_report(None, &info, &mut report) {
                    let _ = socket.send_to(&report[..len], reports_to).await;
                }
            }
        }
    }
    packets
}
