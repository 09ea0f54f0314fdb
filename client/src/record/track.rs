//! One stream's recording: what it is received by, at the present MMR and the one before, and what comes of it.

use super::layer::{LayerReception, Received, SharedTape, lock};
use super::{PacketReport, StreamReport};
use crate::link::DscpSet;
use crate::receive::Latency;
use crate::session::StreamInfo;
use crate::{ClientError, limits};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use wire::control::Codec;

pub(super) struct Track {
    pub(super) info: StreamInfo,
    pub(super) codec: Codec,
    pub(super) layer: u8,
    tape: SharedTape,
    /// From the present MMR.
    current: Option<LayerReception>,
    /// From the MMR before, until the present one has taken over.
    before: Option<LayerReception>,
    received: Vec<Received>,
    /// Since when nothing is received, and since when frames wait for those before them.
    idle_since: Instant,
    holding_since: Option<Instant>,
}

/// How long a link that may be gone is waited for.
const LOST_LINK_PATIENCE: Duration = Duration::from_millis(100);

impl Track {
    pub(super) fn new(
        info: StreamInfo,
        codec: Codec,
        tape: SharedTape,
        current: LayerReception,
    ) -> Self {
        let (layer, current) = (current.layer, Some(current));
        let (before, received) = (None, Vec::new());
        let (idle_since, holding_since) = (Instant::now(), None);
        Self { info, codec, layer, tape, current, before, received, idle_since, holding_since }
    }

    pub(super) fn tape(&self) -> &SharedTape {
        &self.tape
    }

    /// Goes on with what comes from the present MMR.
    pub(super) fn attach(&mut self, current: LayerReception) {
        self.current = Some(current);
    }

    /// The present MMR is the one before from now on.
    pub(super) fn move_on(&mut self) {
        self.before = self.current.take();
        self.idle_since = Instant::now();
    }

    /// Nothing more comes from the present MMR.
    ///
    /// # Errors
    /// The link is gone.
    pub(super) async fn detach(&mut self) -> Result<(), ClientError> {
        self.idle_since = Instant::now();
        if let Some(current) = self.current.take() {
            self.received.push(current.finish().await?);
        }
        Ok(())
    }

    /// Nothing more comes from the MMR before. What its link does not tell any more is not known.
    pub(super) async fn leave_before(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.idle_since = Instant::now();
        let source = before.source;
        match timeout(LOST_LINK_PATIENCE, before.finish()).await {
            Ok(Ok(received)) => self.received.push(received),
            Ok(Err(_)) | Err(_) => lock(&self.tape).end(source),
        }
    }

    /// Lets go of the MMR before as soon as the present one has taken over.
    pub(super) async fn tidy(&mut self) {
        let Some(before) = &self.before else { return };
        let (past, holding) = {
            let tape = lock(&self.tape);
            (tape.is_past(before.source), tape.is_holding())
        };
        let since = holding.then(|| self.holding_since.unwrap_or_else(Instant::now));
        self.holding_since = since;
        if past || since.is_some_and(|since| since.elapsed() > limits::SPLICE_PATIENCE) {
            self.leave_before().await;
        }
    }

    /// Whether the MMR before is still needed.
    pub(super) fn needs_before(&self) -> bool {
        self.before.is_some()
    }

    /// Whether its stream has not come again for too long.
    pub(super) fn is_abandoned(&self) -> bool {
        let idle = self.current.is_none() && self.before.is_none();
        idle && self.idle_since.elapsed() > limits::RETURN_PATIENCE
    }

    /// Finishes the file; nothing is told of a stream whose links were all lost.
    ///
    /// # Errors
    /// The link is gone, or the file could not be written. It is finished all the same.
    pub(super) async fn finish(mut self) -> Result<Option<StreamReport>, ClientError> {
        self.leave_before().await;
        let detached = self.detach().await;
        let taken = lock(&self.tape).finish();
        detached?;
        let taken = taken?;
        let Some(last) = self.received.last() else { return Ok(None) };
        let mut latency = Latency::default();
        let (mut packets, mut incomplete) = (PacketReport::default(), 0);
        for one in &self.received {
            packets.add(&one.statistics);
            latency.add(&one.statistics.latency);
            incomplete += one.incomplete;
        }
        Ok(Some(StreamReport {
            layer: last.layer,
            ssrc: last.ssrc,
            codec: self.codec,
            participant: self.info.participant,
            kind: self.info.kind,
            stream: last.stream,
            transport: last.link.transport,
            packets,
            frames: taken.frames,
            frames_incomplete: incomplete,
            latency_us: latency.report(),
            dscp: dscp(&self.received),
            file: taken.file,
            digests: taken.digests,
        }))
    }
}

/// UDP tells the mark of each packet, other transports that of the whole link, or nothing.
fn dscp(received: &[Received]) -> Option<DscpSet> {
    let mut all = DscpSet::default();
    for one in received {
        let of_packets = one.statistics.dscp;
        let seen = if of_packets.is_empty() { one.link.dscp? } else { of_packets };
        seen.iter().for_each(|mark| all.insert(mark));
    }
    Some(all)
}
