//! Records what a meeting publishes: every stream into frames, and into files if asked to.
//!
//! When its MMR drains, a recorder that came by the zone's controllers records at the old one until the next one sends
//! the same frames; when it dies, as soon as the next one sends. A stream stays one file.

mod follow;
mod layer;
mod sink;
mod splice;
mod tape;
mod track;

use crate::entry::Entry;
use crate::link::DscpSet;
use crate::media::Digest;
use crate::moving::Mover;
use crate::progress::{INTERVAL, Progress, ProgressSink};
use crate::receive::{LatencyReport, LayerStatistics};
use crate::session::{Session, StreamInfo};
use crate::way::WayReport;
use crate::{ClientError, JoinOptions, Link, LinkReport};
use follow::{Follower, Place, Shared, Stay};
use serde::Serialize;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use wire::control::Codec;
use wire::{Kind, Ssrc, StreamId, Transport};

/// What to record, and where.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// Where and as whom.
    pub join: JoinOptions,
    /// Only streams of these kinds.
    pub kinds: Vec<Kind>,
    /// The highest layer wanted of each stream.
    pub max_layer: u8,
    /// Where files go, as PARTICIPANT-KIND.ogg or .ivf; none are written without it.
    pub folder: Option<PathBuf>,
}

/// A participant that subscribes to every stream there is or will be.
pub struct Recorder {
    shared: Arc<Shared>,
    /// How it got in.
    way: WayReport,
    stop: oneshot::Sender<()>,
    follower: JoinHandle<Result<Vec<StreamReport>, ClientError>>,
}

/// How recording went.
#[derive(Clone, Debug, Serialize)]
pub struct RecordReport {
    /// Who recorded.
    pub participant: String,
    /// From joining to the end.
    pub duration_ms: u64,
    /// How often the control channel was resumed.
    pub resumed: u32,
    /// How often it moved to another MMR.
    pub moved: u32,
    /// The MMR it was at in the end, if the zone's controllers named it.
    pub mmr: Option<String>,
    /// Which way it came to the MMR it joined first.
    pub way: WayReport,
    /// One per layer received.
    pub streams: Vec<StreamReport>,
    /// Over what.
    pub links: Vec<LinkReport>,
}

/// How one layer arrived. After a move, number, label and transport are those at the last MMR, the rest is of all.
#[derive(Clone, Debug, Serialize)]
pub struct StreamReport {
    /// Whose.
    pub participant: String,
    /// Of which kind.
    pub kind: Kind,
    /// Its stream.
    pub stream: StreamId,
    /// From 0, lowest first.
    pub layer: u8,
    /// Its label.
    pub ssrc: Ssrc,
    /// Its codec.
    pub codec: Codec,
    /// How it came.
    pub transport: Transport,
    /// Packets.
    pub packets: PacketReport,
    /// Whole frames.
    pub frames: u64,
    /// Frames that some packets came of, but not all; they are left out of the file.
    pub frames_incomplete: u64,
    /// From capture to arrival, in microseconds; `None` when the publisher does not tell capture times.
    pub latency_us: Option<LatencyReport>,
    /// Marks seen; `None` where the system does not tell.
    pub dscp: Option<DscpSet>,
    /// What was written.
    pub file: Option<PathBuf>,
    /// Of each whole frame, in order.
    #[serde(skip)]
    pub digests: Vec<Digest>,
}

/// Packets of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PacketReport {
    /// Should have come.
    pub expected: u64,
    /// Came in time.
    pub delivered: u64,
    /// Came, but only when asked for again.
    pub repaired: u64,
    /// Did not come by themselves: repaired or lost.
    pub lost_before_repair: u64,
    /// Never came.
    pub lost: u64,
    /// Came more than once.
    pub duplicates: u64,
    /// Came with this label, but from somebody else.
    pub unauthentic: u64,
}

impl PacketReport {
    fn add(&mut self, statistics: &LayerStatistics) {
        self.expected += statistics.expected();
        self.delivered += statistics.delivered;
        self.repaired += statistics.repaired;
        self.lost_before_repair += statistics.lost_before_repair();
        self.lost += statistics.lost;
        self.duplicates += statistics.duplicates;
        self.unauthentic += statistics.unauthentic;
    }
}

/// Counts the streams that have ended.
pub struct Ends(watch::Receiver<usize>);

impl Ends {
    /// Waits until so many streams have ended, or the recorder has.
    pub async fn wait(mut self, count: usize) {
        // An error says that the recorder is gone: nothing ends any more.
        let _ = self.0.wait_for(|ended| *ended >= count).await;
    }
}

impl Recorder {
    /// Joins, binds a link per kind and subscribes to every stream from then on. Kinds that the token does not allow
    /// are passed over.
    ///
    /// # Errors
    /// Everything between name lookup and a link that no transport carries; a folder that cannot be made.
    pub async fn join(options: RecordOptions) -> Result<Self, ClientError> {
        let RecordOptions { join, kinds, max_layer, folder } = options;
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder)
                .map_err(|cause| ClientError::Write { path: folder.clone(), cause })?;
        }
        let mut entry = Entry::new(join)?;
        let (session, events) = entry.join().await?;
        let stay = Stay::begin(session, events, &kinds).await;
        let stay = stay.map_err(|error| entry.explain(error))?;
        let way = entry.journal().report();
        let mover = Mover::new(entry, move |session, events| {
            let kinds = kinds.clone();
            Box::pin(async move { Stay::begin(session, events, &kinds).await })
        });
        let (session, links) = (stay.session.clone(), stay.links.clone());
        let shared = Arc::new(Shared::new(Place { session, links, moved: 0, mmr: mover.mmr() }));
        let (stop, stopped) = oneshot::channel();
        let follower = Follower::new(stay, mover, max_layer, folder, Arc::clone(&shared));
        let follower = tokio::spawn(follower.run(stopped));
        Ok(Self { shared, way, stop, follower })
    }

    /// Its control channel, to the MMR it is at now.
    pub fn session(&self) -> Session {
        self.shared.place().session
    }

    /// The link of one kind to that MMR, if there is one.
    pub fn link(&self, kind: Kind) -> Option<Link> {
        self.shared.place().links.into_iter().find(|link| link.kind() == kind)
    }

    /// The MMR it is at, if the zone's controllers named it.
    pub fn mmr(&self) -> Option<String> {
        self.shared.place().mmr
    }

    /// Which way it came to the MMR it joined first.
    pub fn way(&self) -> &WayReport {
        &self.way
    }

    /// Streams subscribed to so far, those that ended included.
    pub fn streams(&self) -> usize {
        *self.shared.streams.borrow()
    }

    /// Waits until so many streams were subscribed to. False when the time is over first.
    pub async fn wait_for_streams(&self, count: usize, patience: Duration) -> bool {
        let mut streams = self.shared.streams.subscribe();
        let enough = streams.wait_for(|streams| *streams >= count);
        matches!(timeout(patience, enough).await, Ok(Ok(_)))
    }

    /// Tells when streams end, also while [`Self::run`] runs.
    pub fn ends(&self) -> Ends {
        Ends(self.shared.ended.subscribe())
    }

    /// Frames received so far, all streams together.
    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }

    /// Records until `stop`, then finishes the files and leaves.
    ///
    /// # Errors
    /// When a file cannot be written or the session is lost for good.
    pub async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        total: Option<Duration>,
        progress: &ProgressSink,
    ) -> Result<RecordReport, ClientError> {
        let started = Instant::now();
        let mut tick = interval(INTERVAL);
        let mut stop = pin!(stop);
        let ended = loop {
            tokio::select! {
                () = &mut stop => break None,
                _ = tick.tick() => progress(self.progress(started, total)),
                ended = &mut self.follower => break Some(ended),
            }
        };
        progress(self.progress(started, total));
        // A follower that has ended already does not listen any more.
        let _ = self.stop.send(());
        let ended = match ended {
            Some(ended) => ended,
            None => self.follower.await,
        };
        let streams = ended.map_err(|_| ClientError::Protocol("the recorder's task failed"))??;
        let Place { session, links: open, moved, mmr } = self.shared.place();
        let mut links = Vec::new();
        for link in &open {
            links.push(link.report().await?);
        }
        let participant = session.welcome().participant.clone();
        let resumed = self.shared.resumed.load(Ordering::Relaxed);
        session.leave().await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let way = self.way;
        Ok(RecordReport { participant, duration_ms, resumed, moved, mmr, way, streams, links })
    }

    fn progress(&self, started: Instant, total: Option<Duration>) -> Progress {
        let (elapsed, streams, frames) = (started.elapsed(), self.streams(), self.frames());
        Progress { elapsed, total, streams, frames }
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

#[cfg(test)]
mod tests {
    use super::*;

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
