//! Publishes media files in real time.
//!
//! When its MMR drains, a publisher that came by the zone's controllers sends the same media to the next MMR as well,
//! until everybody has followed.

mod pace;
mod stay;

use crate::entry::Entry;
use crate::media::{Clip, Frame, clock_hz};
use crate::moving::{Moved, Mover};
use crate::progress::{INTERVAL, Progress, ProgressSink};
use crate::send::SenderStatistics;
use crate::session::{Session, SessionEvent};
use crate::way::WayReport;
use crate::{ClientError, JoinOptions, Link, LinkReport, limits};
use pace::Timetable;
use rand::Rng;
use serde::Serialize;
use stay::Stay;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use wire::control::Codec;
use wire::srtp::MasterKey;
use wire::{Bitrate, Kind, Ssrc, StreamId};

/// Bytes around each payload on the wire: RTP header, extensions, tag.
const PACKET_OVERHEAD: u64 = 48;
/// A declared bitrate leaves room for repairs and for frames that come a little early.
const BITRATE_HEADROOM_PERCENT: u64 = 150;
/// Layers below this declare this much: at such rates a single frame weighs too much in any mean.
const BITRATE_MIN: u64 = 100_000;
/// Between asking the links to send and the first frame.
const START_DELAY: Duration = Duration::from_millis(20);

/// What one participant publishes of one kind.
#[derive(Clone, Debug)]
pub struct Source {
    /// Of which kind.
    pub kind: Kind,
    /// One clip per layer, lowest first; usually one.
    pub layers: Vec<Arc<Clip>>,
}

/// What to publish, and where.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// Where and as whom.
    pub join: JoinOptions,
    /// At most one per kind.
    pub sources: Vec<Source>,
    /// Starts each clip again when it ends.
    pub repeat: bool,
    /// Ends after this time, if not before.
    pub duration: Option<Duration>,
}

/// A participant that has published its streams and not sent anything yet.
pub struct Publisher {
    stay: Stay,
    mover: Mover<Stay>,
    /// How it got in.
    way: WayReport,
    /// The MMR before, as long as somebody may still hear it.
    old: Option<Old>,
    /// What was sent at MMRs that were left.
    left: JoinSet<Result<Sent, ClientError>>,
    repeat: bool,
    duration: Option<Duration>,
}

/// What was sent at one MMR, and over what.
type Sent = (Vec<SentReport>, Vec<LinkReport>);

struct Old {
    stay: Stay,
    until: Instant,
    /// Since when everybody who is there is at the new MMR, too.
    followed: Option<Instant>,
}

/// How publishing went.
#[derive(Clone, Debug, Serialize)]
pub struct PublishReport {
    /// Who published.
    pub participant: String,
    /// From the first frame to the last.
    pub duration_ms: u64,
    /// How often the control channel was resumed.
    pub resumed: u32,
    /// How often it moved to another MMR.
    pub moved: u32,
    /// The MMR it was at in the end, if the zone's controllers named it.
    pub mmr: Option<String>,
    /// Which way it came to the MMR it joined first.
    pub way: WayReport,
    /// What was sent, to each MMR by itself; nothing for one that died.
    pub streams: Vec<SentReport>,
    /// Over what.
    pub links: Vec<LinkReport>,
}

/// How one layer was sent.
#[derive(Clone, Debug, Serialize)]
pub struct SentReport {
    /// Its stream.
    pub stream: StreamId,
    /// Of which kind.
    pub kind: Kind,
    /// Its codec.
    pub codec: Codec,
    /// Its label.
    pub ssrc: Ssrc,
    /// From 0, lowest first.
    pub layer: usize,
    /// Counts.
    #[serde(flatten)]
    pub statistics: SenderStatistics,
}

impl Publisher {
    /// Joins, binds a link per kind and publishes. Others can subscribe from here on; nothing is sent yet.
    ///
    /// # Errors
    /// Everything between name lookup and a refused stream.
    pub async fn join(options: PublishOptions) -> Result<Self, ClientError> {
        let PublishOptions { join, sources, repeat, duration } = options;
        let mut entry = Entry::new(join)?;
        let (session, events) = entry.join().await?;
        // RFC 3550 §5.1: anywhere. The same at every MMR, so that who moves knows the frames again.
        let clock = rand::random();
        let stay = Stay::begin(session, events, &sources, clock).await;
        let stay = stay.map_err(|error| entry.explain(error))?;
        let way = entry.journal().report();
        let mover = Mover::new(entry, move |session, events| {
            let sources = sources.clone();
            Box::pin(async move { Stay::begin(session, events, &sources, clock).await })
        });
        let (old, left) = (None, JoinSet::new());
        Ok(Self { stay, mover, way, old, left, repeat, duration })
    }

    /// Its control channel.
    pub fn session(&self) -> &Session {
        &self.stay.session
    }

    /// The link of one kind, if it publishes any.
    pub fn link(&self, kind: Kind) -> Option<Link> {
        let mut streams = self.stay.streams.iter();
        streams.find(|stream| stream.kind == kind).map(|stream| stream.link.clone())
    }

    /// The MMR it is at, if the zone's controllers named it.
    pub fn mmr(&self) -> Option<String> {
        self.mover.mmr()
    }

    /// Which way it came to the MMR it joined first.
    pub fn way(&self) -> &WayReport {
        &self.way
    }

    /// Sends everything in real time, waits for the last repairs, and leaves. `stop` ends it early, and as cleanly.
    ///
    /// # Errors
    /// When a frame cannot be sent, or the session or a link is lost for good.
    pub async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        progress: &ProgressSink,
    ) -> Result<PublishReport, ClientError> {
        let timetable = Timetable {
            started: Instant::now() + START_DELAY,
            end: self.duration,
            repeat: self.repeat,
            frames: Arc::default(),
        };
        self.stay.start(&timetable);
        let total = self.total();
        let mut resumed = 0;
        let mut tick = interval(INTERVAL);
        let mut stop = pin!(stop);
        let tell = |elapsed, streams| {
            let frames = timetable.frames.load(Ordering::Relaxed);
            progress(Progress { elapsed, total, streams, frames });
        };
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = tick.tick() => {
                    tell(timetable.started.elapsed(), self.stay.streams.len());
                    self.leave_old_if_done();
                    self.mover.handle_silence(self.stay.is_silent());
                }
                Some(event) = self.stay.events.recv() => {
                    resumed += u32::from(matches!(event, SessionEvent::Resumed));
                    self.stay.note(&event);
                    self.mover.handle_event(&event)?;
                }
                Some(event) = next_of(&mut self.old) => self.handle_old(&event),
                moved = self.mover.arrive() => self.take_place(moved?, &timetable),
                Some(paced) = self.stay.pacers.join_next() => {
                    match paced.map_err(|_| ClientError::Protocol("a pacer failed"))? {
                        Err(error) if !self.mover.excuses(&error) => return Err(error),
                        _ => {}
                    }
                }
            }
            if self.stay.pacers.is_empty() && !self.mover.is_moving() {
                break;
            }
        }
        let duration = timetable.started.elapsed();
        tell(duration, self.stay.streams.len());
        self.finish(duration, resumed).await
    }

    /// Sends at the new MMR from now on; at the old one, too, if it still stands.
    fn take_place(&mut self, moved: Moved<Stay>, timetable: &Timetable) {
        let before = std::mem::replace(&mut self.stay, moved.stay);
        self.stay.start(timetable);
        self.end_old();
        if let Some(until) = moved.overlap_until {
            self.old = Some(Old { stay: before, until, followed: None });
        }
    }

    fn handle_old(&mut self, event: &SessionEvent) {
        match (&mut self.old, event) {
            (Some(_), SessionEvent::Closed(_)) => self.old = None,
            (Some(old), event) => old.stay.note(event),
            (None, _) => {}
        }
    }

    /// The old MMR is left when nobody else is there, when those who are have had time to hear the
    /// new one, and before its time is over.
    fn leave_old_if_done(&mut self) {
        let Some(old) = &mut self.old else { return };
        let now = Instant::now();
        if old.stay.others.is_subset(&self.stay.others) {
            old.followed.get_or_insert(now);
        }
        let settled = old.followed.is_some_and(|since| now - since > limits::OVERLAP);
        if old.stay.others.is_empty() || settled || now >= old.until {
            self.end_old();
        }
    }

    fn end_old(&mut self) {
        if let Some(old) = self.old.take() {
            self.left.spawn(old.stay.leave());
        }
    }

    fn total(&self) -> Option<Duration> {
        let longest = self.stay.duration().filter(|_| !self.repeat);
        [longest, self.duration].into_iter().flatten().min()
    }

    async fn finish(
        mut self,
        duration: Duration,
        resumed: u32,
    ) -> Result<PublishReport, ClientError> {
        let participant = self.stay.session.welcome().participant.clone();
        if let Some(old) = self.old.take() {
            self.left.spawn(old.stay.end());
        }
        let (mut streams, mut links) = self.stay.end().await?;
        while let Some(left) = self.left.join_next().await {
            // An MMR that was gone before it was left tells nothing.
            let Ok(Ok((sent, over))) = left else { continue };
            streams.extend(sent);
            links.extend(over);
        }
        Ok(PublishReport {
            participant,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            resumed,
            moved: self.mover.moved(),
            mmr: self.mover.mmr(),
            way: self.way,
            streams,
            links,
        })
    }
}

/// The next event of an MMR that is being left; none while there is none.
async fn next_of(old: &mut Option<Old>) -> Option<SessionEvent> {
    old.as_mut()?.stay.events.recv().await
}

/// A layer's SRTP master key; never used for anything else.
pub(crate) fn new_key() -> MasterKey {
    let mut random = rand::rng();
    MasterKey { key: random.random(), salt: random.random() }
}

/// Dynamic payload types (RFC 3551 §6); any would do, these are the usual ones.
pub(crate) const fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 111,
        Codec::Vp8 => 96,
        Codec::Av1 => 97,
    }
}

/// The most any second of the clip needs on the wire, and some head room.
fn declared_bitrate(clip: &Clip) -> Bitrate {
    let clock = u64::from(clock_hz(clip.codec));
    let payload_max = limits::RTP_LEN_MAX as u64 - PACKET_OVERHEAD;
    let cost = |frame: &Frame| {
        let bytes = frame.data.len() as u64;
        (bytes + PACKET_OVERHEAD * bytes.div_ceil(payload_max).max(1)) * 8
    };
    let (mut peak, mut window, mut first) = (0, 0, 0);
    for frame in &clip.frames {
        window += cost(frame);
        while frame.timestamp - clip.frames[first].timestamp >= clock {
            window -= cost(&clip.frames[first]);
            first += 1;
        }
        peak = peak.max(window);
    }
    let declared = (peak * BITRATE_HEADROOM_PERCENT / 100).max(BITRATE_MIN);
    Bitrate(u32::try_from(declared).unwrap_or(u32::MAX))
}
