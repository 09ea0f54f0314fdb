//! Receives one layer from one MMR: from its link's packets to frames on a tape.

use super::splice::Source;
use super::tape::Tape;
use crate::payload::Depacketizer;
use crate::receive::{Delivery, LayerReceiver, LayerStatistics};
use crate::session::StreamInfo;
use crate::{ClientError, Link, LinkReport};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::control::{Codec, LayerInfo};
use wire::{Ssrc, StreamId};

/// A tape and those who write on it.
pub(super) type SharedTape = Arc<Mutex<Tape>>;

pub(super) fn lock(tape: &SharedTape) -> MutexGuard<'_, Tape> {
    // Nothing within it panics half-way through a change.
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct LayerReception {
    pub(super) source: Source,
    pub(super) layer: u8,
    stream: StreamId,
    ssrc: Ssrc,
    link: Link,
    tape: SharedTape,
    /// Frames that did not come whole.
    reader: JoinHandle<u64>,
}

/// How a layer came from one MMR.
pub(super) struct Received {
    pub(super) stream: StreamId,
    pub(super) layer: u8,
    pub(super) ssrc: Ssrc,
    pub(super) incomplete: u64,
    pub(super) statistics: LayerStatistics,
    pub(super) link: LinkReport,
}

impl LayerReception {
    pub(super) async fn start(
        info: &StreamInfo,
        layer: u8,
        roc: u32,
        link: &Link,
        source: Source,
        tape: &SharedTape,
    ) -> Result<Self, ClientError> {
        let told = layer_of(info, layer)?;
        let (stream, ssrc, link, tape) = (info.stream, told.ssrc, link.clone(), Arc::clone(tape));
        let deliveries = link.add_receiver(LayerReceiver::new(told, roc)).await?;
        let reader = tokio::spawn(read(told.codec, deliveries, source, Arc::clone(&tape)));
        Ok(Self { source, layer, stream, ssrc, link, tape, reader })
    }

    /// Takes no more packets.
    pub(super) async fn finish(self) -> Result<Received, ClientError> {
        let Self { source, layer, stream, ssrc, link, tape, reader } = self;
        let statistics = link.remove_receiver(ssrc).await;
        // The reader ends with its layer or its link.
        let incomplete = reader.await;
        lock(&tape).end(source);
        let incomplete =
            incomplete.map_err(|_| ClientError::Protocol("a layer's reader failed"))?;
        let (statistics, link) = (statistics?, link.report().await?);
        Ok(Received { stream, layer, ssrc, incomplete, statistics, link })
    }
}

pub(super) fn layer_of(info: &StreamInfo, layer: u8) -> Result<&LayerInfo, ClientError> {
    let unknown = ClientError::Protocol("subscribed names a layer that is not in stream_added");
    info.layers.get(usize::from(layer)).ok_or(unknown)
}

async fn read(
    codec: Codec,
    mut deliveries: mpsc::Receiver<Delivery>,
    source: Source,
    tape: SharedTape,
) -> u64 {
    let mut depacketizer = Depacketizer::new(codec);
    while let Some(delivery) = deliveries.recv().await {
        let Delivery::Packet(packet) = delivery else { continue };
        let Some(piece) = packet.piece() else { continue };
        if let Some(frame) = depacketizer.receive(piece) {
            lock(&tape).receive(source, frame);
        }
    }
    depacketizer.incomplete()
}
