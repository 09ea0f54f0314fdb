//! Records one layer: from its link's packets to frames, digests and a file.

use super::sink::FileSink;
use super::{PacketReport, StreamReport};
use crate::media::Digest;
use crate::payload::Depacketizer;
use crate::receive::{Delivery, LayerReceiver, LayerStatistics};
use crate::session::StreamInfo;
use crate::{ClientError, Link};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::control::{Codec, LayerInfo};

/// Where a layer's file goes.
pub(super) struct Place {
    pub(super) folder: Option<PathBuf>,
    /// Files of the same stream before this one.
    pub(super) part: u32,
}

pub(super) struct LayerRecording {
    info: StreamInfo,
    layer: u8,
    link: Link,
    reader: JoinHandle<Result<Read, ClientError>>,
}

/// What the reader of a layer made of its packets.
#[derive(Default)]
struct Read {
    frames: u64,
    incomplete: u64,
    digests: Vec<Digest>,
    file: Option<PathBuf>,
}

impl LayerRecording {
    pub(super) async fn start(
        info: &StreamInfo,
        layer: u8,
        roc: u32,
        link: &Link,
        place: Place,
        frames: Arc<AtomicU64>,
    ) -> Result<Self, ClientError> {
        let told = layer_of(info, layer)?;
        let deliveries = link.add_receiver(LayerReceiver::new(told, roc)).await?;
        let path = place.folder.map(|folder| folder.join(file_name(info, told.codec, place.part)));
        let reader = tokio::spawn(read(told.codec, path, deliveries, frames));
        Ok(Self { info: info.clone(), layer, link: link.clone(), reader })
    }

    pub(super) fn layer(&self) -> u8 {
        self.layer
    }

    /// Takes no more packets, finishes the file.
    pub(super) async fn finish(self) -> Result<StreamReport, ClientError> {
        let Self { info, layer, link, reader } = self;
        let told = layer_of(&info, layer)?;
        let statistics = link.remove_receiver(told.ssrc).await;
        // The reader ends with its layer or its link; its file is finished in any case.
        let read = reader.await.map_err(|_| ClientError::Protocol("a layer's reader failed"))??;
        let statistics = statistics?;
        let link = link.report().await?;
        Ok(StreamReport {
            layer,
            ssrc: told.ssrc,
            codec: told.codec,
            participant: info.participant,
            kind: info.kind,
            stream: info.stream,
            transport: link.transport,
            packets: packets(&statistics),
            frames: read.frames,
            frames_incomplete: read.incomplete,
            latency_us: statistics.latency.report(),
            // UDP tells the mark of each packet, other transports that of the whole link.
            dscp: if statistics.dscp.is_empty() { link.dscp } else { Some(statistics.dscp) },
            file: read.file,
            digests: read.digests,
        })
    }
}

fn layer_of(info: &StreamInfo, layer: u8) -> Result<&LayerInfo, ClientError> {
    let unknown = ClientError::Protocol("subscribed names a layer that is not in stream_added");
    info.layers.get(usize::from(layer)).ok_or(unknown)
}

fn packets(statistics: &LayerStatistics) -> PacketReport {
    PacketReport {
        expected: statistics.expected(),
        delivered: statistics.delivered,
        repaired: statistics.repaired,
        lost_before_repair: statistics.lost_before_repair(),
        lost: statistics.lost,
        duplicates: statistics.duplicates,
        unauthentic: statistics.unauthentic,
    }
}

/// PARTICIPANT-KIND.ogg or .ivf. Names come from tokens of others: nothing in them may leave the folder.
fn file_name(info: &StreamInfo, codec: Codec, part: u32) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let participant: String = info.participant.chars().map(safe).collect();
    let part = if part == 0 { String::new() } else { format!("-{}", part + 1) };
    let ending = if codec == Codec::Opus { "ogg" } else { "ivf" };
    format!("{participant}-{}{part}.{ending}", info.kind)
}

async fn read(
    codec: Codec,
    path: Option<PathBuf>,
    mut deliveries: mpsc::Receiver<Delivery>,
    frames: Arc<AtomicU64>,
) -> Result<Read, ClientError> {
    let mut depacketizer = Depacketizer::new(codec);
    let mut read = Read::default();
    let mut sink = path.map(|path| FileSink::new(codec, path));
    while let Some(delivery) = deliveries.recv().await {
        let Delivery::Packet(packet) = delivery else { continue };
        let Some(piece) = packet.piece() else { continue };
        let Some(frame) = depacketizer.receive(piece) else { continue };
        read.frames += 1;
        read.digests.push(frame.digest());
        frames.fetch_add(1, Ordering::Relaxed);
        if let Some(sink) = &mut sink {
            sink.write(frame)?;
        }
    }
    read.incomplete = depacketizer.incomplete();
    read.file = sink.map(FileSink::finish).transpose()?.flatten();
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Kind, StreamId};

    #[test]
    fn a_participants_name_cannot_leave_the_folder() {
        let named = |participant: &str| {
            let (participant, layers) = (participant.to_owned(), Vec::new());
            let info = StreamInfo { stream: StreamId(1), participant, kind: Kind::Video, layers };
            file_name(&info, Codec::Vp8, 0)
        };
        assert_eq!(named("../../etc/passwd"), "______etc_passwd-video.ivf");
        assert_eq!(named("Zoë"), "Zoë-video.ivf");
    }
}
