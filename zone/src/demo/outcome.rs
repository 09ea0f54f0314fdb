//! What one subscriber got of one kind, held against what was published.

use super::clips::Clips;
use super::meeting::{Received, place};
use client::Way;
use serde::Serialize;
use wire::Kind;
use wire::mark::Marks;

/// One row of the result.
#[derive(Serialize)]
pub(super) struct Outcome {
    pub(super) subscriber: String,
    pub(super) meeting: &'static str,
    /// The zone it came to, and the MMR there.
    pub(super) mmr: String,
    /// What its media went through.
    pub(super) way: Way,
    pub(super) transport: &'static str,
    pub(super) ip: &'static str,
    pub(super) kind: Kind,
    /// Packets that should have come.
    pub(super) expected: u64,
    pub(super) delivered: u64,
    pub(super) repaired: u64,
    pub(super) lost: u64,
    /// From capture to arrival, in microseconds.
    pub(super) latency_p50_us: Option<u64>,
    pub(super) latency_p99_us: Option<u64>,
    /// Marks the packets carried on arrival; `None` where the system does not tell.
    pub(super) dscp: Option<Vec<u8>>,
    pub(super) dscp_expected: u8,
    /// Frames identical to the source, in its order.
    pub(super) frames_identical: usize,
    pub(super) frames_published: usize,
    /// Frames that came and are not the source's.
    pub(super) frames_strange: usize,
}

impl Outcome {
    /// Every packet came, every frame is the source's, every mark seen is the right one. Proxies and tunnels do not mark.
    pub(super) fn is_complete(&self) -> bool {
        let is_right = |seen: &Vec<u8>| *seen == [self.dscp_expected];
        let marked = self.way != Way::Direct || self.dscp.as_ref().is_none_or(is_right);
        self.lost == 0
            && self.delivered == self.expected
            && self.frames_identical == self.frames_published
            && self.frames_strange == 0
            && marked
    }
}

/// One outcome per kind, also where nothing came at all.
pub(super) fn judge(received: &Received, clips: &Clips) -> Vec<Outcome> {
    Kind::ALL.into_iter().map(|kind| judge_kind(received, clips, kind)).collect()
}

fn judge_kind(received: &Received, clips: &Clips, kind: Kind) -> Outcome {
    let &Received { meeting, seat, ref report } = received;
    let published = &clips.of(kind).frames;
    let stream = report.streams.iter().find(|stream| stream.kind == kind);
    let packets = stream.map(|stream| stream.packets).unwrap_or_default();
    let digests = stream.map_or(&[][..], |stream| &stream.digests);
    let identical = published
        .iter()
        .zip(digests)
        .take_while(|(frame, digest)| frame.digest() == **digest)
        .count();
    let media = report.way.media.iter().find(|media| media.kind == kind);
    let latency = stream.and_then(|stream| stream.latency_us);
    Outcome {
        subscriber: seat.name(),
        meeting,
        mmr: place(&report.way, report.mmr.clone()),
        way: media.map_or(Way::Direct, |media| media.way),
        transport: media.map_or("none", |media| media.transport.name()),
        ip: seat.ip_name(),
        kind,
        expected: packets.expected,
        delivered: packets.delivered,
        repaired: packets.repaired,
        lost: packets.lost,
        latency_p50_us: latency.map(|latency| latency.p50),
        latency_p99_us: latency.map(|latency| latency.p99),
        dscp: stream.and_then(|stream| stream.dscp).map(|seen| seen.iter().collect()),
        dscp_expected: Marks::DEFAULT.of(kind).value(),
        frames_identical: identical,
        frames_published: published.len(),
        frames_strange: digests.len() - identical,
    }
}
