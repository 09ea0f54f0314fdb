//! Plain RTP from a tool, published.

use super::RtpInput;
use crate::media::{Frame, clock_hz};
use crate::payload::{Depacketizer, Piece};
use crate::publish::{new_key, payload_type};
use crate::send::{LayerSender, SenderStatistics};
use crate::session::Session;
use crate::{ClientError, Link};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wire::control::{Codec, Key, LayerOffer};
use wire::demux::{Class, classify};
use wire::rtp::Packet;
use wire::{Bitrate, Kind, Seq, Ssrc, StreamId};

/// What a tool may send, in bits per second: it does not say beforehand.
const AUDIO_BITRATE: u32 = 512_000;
const VIDEO_BITRATE: u32 = 12_000_000;
/// Tools may send larger packets than the MMR takes; they are cut anew.
const DATAGRAM_LEN_MAX: usize = 65_536;

/// How one input fared.
#[derive(Clone, Debug, Serialize)]
pub struct InputReport {
    /// Published as this kind.
    pub kind: Kind,
    /// Where the tool sent to.
    pub address: SocketAddr,
    /// RTP packets that came.
    pub received: u64,
    /// Frames that missed a packet.
    pub frames_incomplete: u64,
    /// Frames that fit no payload format.
    pub frames_refused: u64,
    /// What was sent on.
    pub sent: SenderStatistics,
}

pub(super) struct Input {
    input: RtpInput,
    stream: StreamId,
    ssrc: Ssrc,
    link: Link,
    stop: oneshot::Sender<()>,
    reader: JoinHandle<Reader>,
}

/// The port tools send to.
pub(super) async fn bind(address: SocketAddr) -> Result<UdpSocket, ClientError> {
    UdpSocket::bind(address).await.map_err(|cause| ClientError::Io {
        what: format!("RTP cannot be received at {address} (another program may use the port)"),
        cause,
    })
}

impl Input {
    pub(super) async fn start(
        session: &Session,
        link: Link,
        input: RtpInput,
        socket: UdpSocket,
        frames: Arc<AtomicU64>,
    ) -> Result<Self, ClientError> {
        let RtpInput { kind, codec, .. } = input;
        let (key, payload_type) = (new_key(), payload_type(codec));
        let wanted = if codec == Codec::Opus { AUDIO_BITRATE } else { VIDEO_BITRATE };
        let max_bitrate = Bitrate(wanted).min(session.welcome().limits.max_bitrate);
        let offer = LayerOffer { codec, payload_type, max_bitrate, key: Key(key.clone()) };
        let (stream, ssrcs) = session.publish(kind, vec![offer]).await?;
        let ssrc = ssrcs[0];
        link.add_sender(LayerSender::new(ssrc, codec, payload_type, &key)).await?;
        let (stop, stopped) = oneshot::channel();
        let reader = Reader::new(link.clone(), ssrc, codec);
        let reader = tokio::spawn(reader.run(socket, stopped, frames));
        Ok(Self { input, stream, ssrc, link, stop, reader })
    }

    pub(super) async fn finish(self, session: &Session) -> Result<InputReport, ClientError> {
        // A reader whose link closed has ended already.
        let _ = self.stop.send(());
        let reader = self.reader.await.map_err(|_| ClientError::Protocol("an input failed"))?;
        let sent = self.link.remove_sender(self.ssrc).await?;
        session.unpublish(self.stream).await;
        Ok(InputReport {
            kind: self.input.kind,
            address: self.input.address,
            received: reader.received,
            frames_incomplete: reader.depacketizer.incomplete(),
            frames_refused: reader.refused,
            sent,
        })
    }
}

/// Puts frames together from one tool's packets.
struct Reader {
    link: Link,
    ssrc: Ssrc,
    codec: Codec,
    depacketizer: Depacketizer,
    source: Option<Source>,
    received: u64,
    refused: u64,
}

/// The sender heard last, its numbers unwrapped.
#[derive(Clone, Copy)]
struct Source {
    ssrc: Ssrc,
    seq: Seq,
    index: u64,
    rtp_timestamp: u32,
    timestamp: u64,
}

impl Reader {
    fn new(link: Link, ssrc: Ssrc, codec: Codec) -> Self {
        let depacketizer = Depacketizer::new(codec);
        Self { link, ssrc, codec, depacketizer, source: None, received: 0, refused: 0 }
    }

    async fn run(
        mut self,
        socket: UdpSocket,
        mut stopped: oneshot::Receiver<()>,
        frames: Arc<AtomicU64>,
    ) -> Self {
        let mut datagram = vec![0; DATAGRAM_LEN_MAX];
        loop {
            let len = tokio::select! {
                _ = &mut stopped => return self,
                // An ICMP error of an earlier datagram is no reason to stop.
                received = socket.recv(&mut datagram) => received.unwrap_or(0),
            };
            let Some(frame) = self.receive(&datagram[..len]) else { continue };
            match self.link.send(self.ssrc, frame).await {
                Ok(()) => {
                    frames.fetch_add(1, Ordering::Relaxed);
                }
                Err(ClientError::Payload(_)) => self.refused += 1,
                Err(_closed) => return self,
            }
        }
    }

    /// Takes a datagram; gives the frame that it completes. RTCP and anything else is passed over.
    fn receive(&mut self, datagram: &[u8]) -> Option<Frame> {
        if classify(datagram) != Some(Class::Rtp) {
            return None;
        }
        let packet = Packet::parse(datagram).ok()?;
        self.received += 1;
        let source = self.advance(&packet);
        self.depacketizer.receive(Piece {
            index: source.index,
            timestamp: source.timestamp,
            marker: packet.marker(),
            start: None,
            payload: packet.payload().ok()?,
        })
    }

    /// Unwraps numbers. A tool that was started anew has another SSRC; its time goes on where the other's ended.
    fn advance(&mut self, packet: &Packet<'_>) -> Source {
        let (ssrc, seq, rtp_timestamp) = (packet.ssrc(), packet.seq(), packet.timestamp());
        let next = match self.source {
            Some(last) if last.ssrc == ssrc => {
                let step = i64::from(seq.distance_from(last.seq));
                let ticks = i64::from(rtp_timestamp.wrapping_sub(last.rtp_timestamp).cast_signed());
                let index = last.index.saturating_add_signed(step);
                let timestamp = last.timestamp.saturating_add_signed(ticks);
                Source { ssrc, seq, index, rtp_timestamp, timestamp }
            }
            Some(last) => {
                let pause = u64::from(clock_hz(self.codec)) / 10;
                let (index, timestamp) = (last.index + 2, last.timestamp + pause);
                Source { ssrc, seq, index, rtp_timestamp, timestamp }
            }
            // Room below for packets that overtook each other at the start.
            None => Source { ssrc, seq, index: 1 << 16, rtp_timestamp, timestamp: 1 << 32 },
        };
        self.source = Some(next);
        next
    }
}
