//! Publishes media files in real time.

use crate::media::{Clip, Frame, clock_hz, ticks_to_duration};
use crate::progress::{INTERVAL, Progress, ProgressSink};
use crate::send::{LayerSender, SenderStatistics};
use crate::session::{Events, Session, SessionEvent};
use crate::{ClientError, JoinOptions, Link, LinkReport, limits};
use rand::Rng;
use serde::Serialize;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};
use wire::control::{Codec, Key, LayerOffer};
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
    session: Session,
    events: Events,
    streams: Vec<Published>,
    repeat: bool,
    duration: Option<Duration>,
}

struct Published {
    kind: Kind,
    stream: StreamId,
    link: Link,
    layers: Vec<(Ssrc, Arc<Clip>)>,
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
    /// What was sent.
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
        let (session, events) = Session::join(join).await?;
        let kinds: Vec<Kind> = sources.iter().map(|source| source.kind).collect();
        let links = session.connect_all(&kinds).await;
        let mut streams = Vec::new();
        for (source, (_, link)) in sources.into_iter().zip(links) {
            streams.push(publish(&session, link?, source).await?);
        }
        Ok(Self { session, events, streams, repeat, duration })
    }

    /// Its control channel.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The link of one kind, if it publishes any.
    pub fn link(&self, kind: Kind) -> Option<Link> {
        self.streams.iter().find(|stream| stream.kind == kind).map(|stream| stream.link.clone())
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
        let started = Instant::now() + START_DELAY;
        let frames = Arc::new(AtomicU64::new(0));
        let mut pacers = self.start_pacers(started, &frames);
        let total = self.total();
        let mut resumed = 0;
        let mut tick = interval(INTERVAL);
        let mut stop = pin!(stop);
        let tell = |elapsed| {
            let frames = frames.load(Ordering::Relaxed);
            progress(Progress { elapsed, total, streams: self.streams.len(), frames });
        };
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = tick.tick() => tell(started.elapsed()),
                event = self.events.recv() => match event {
                    Some(SessionEvent::Resumed) => resumed += 1,
                    Some(SessionEvent::Closed(why)) => return Err(ClientError::ChannelLost(why)),
                    Some(SessionEvent::Draining { deadline_s }) => warn_of_draining(deadline_s),
                    _ => {}
                },
                paced = pacers.join_next() => match paced {
                    Some(Ok(outcome)) => outcome?,
                    Some(Err(_panicked)) => return Err(ClientError::Protocol("a pacer failed")),
                    None => break,
                },
            }
        }
        drop(pacers);
        let duration = started.elapsed();
        tell(duration);
        self.finish(duration, resumed).await
    }

    fn start_pacers(
        &self,
        started: Instant,
        frames: &Arc<AtomicU64>,
    ) -> JoinSet<Result<(), ClientError>> {
        let mut pacers = JoinSet::new();
        for stream in &self.streams {
            for (ssrc, clip) in &stream.layers {
                pacers.spawn(pace(Pacer {
                    link: stream.link.clone(),
                    ssrc: *ssrc,
                    clip: Arc::clone(clip),
                    started,
                    end: self.duration,
                    repeat: self.repeat,
                    frames: Arc::clone(frames),
                }));
            }
        }
        pacers
    }

    fn total(&self) -> Option<Duration> {
        let clips = self.streams.iter().flat_map(|stream| &stream.layers);
        let longest = clips.map(|(_, clip)| clip.duration()).max().filter(|_| !self.repeat);
        [longest, self.duration].into_iter().flatten().min()
    }

    async fn finish(self, duration: Duration, resumed: u32) -> Result<PublishReport, ClientError> {
        for stream in &self.streams {
            stream.link.linger().await?;
        }
        sleep(limits::LINGER).await;
        let mut report = PublishReport {
            participant: self.session.welcome().participant.clone(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            resumed,
            streams: Vec::new(),
            links: Vec::new(),
        };
        for Published { kind, stream, link, layers } in &self.streams {
            for (layer, (ssrc, clip)) in layers.iter().enumerate() {
                let statistics = link.remove_sender(*ssrc).await?;
                let (stream, kind, ssrc, codec) = (*stream, *kind, *ssrc, clip.codec);
                report.streams.push(SentReport { stream, kind, codec, ssrc, layer, statistics });
            }
            report.links.push(link.report().await?);
            self.session.unpublish(*stream).await;
        }
        self.session.leave().await;
        Ok(report)
    }
}

async fn publish(session: &Session, link: Link, source: Source) -> Result<Published, ClientError> {
    let Source { kind, layers: clips } = source;
    let keys: Vec<MasterKey> = clips.iter().map(|_| new_key()).collect();
    let allowed = session.welcome().limits.max_bitrate;
    let offers = clips
        .iter()
        .zip(&keys)
        .map(|(clip, key)| LayerOffer {
            codec: clip.codec,
            payload_type: payload_type(clip.codec),
            max_bitrate: declared_bitrate(clip).min(allowed),
            key: Key(key.clone()),
        })
        .collect();
    let (stream, ssrcs) = session.publish(kind, offers).await?;
    let mut layers = Vec::new();
    for ((clip, key), ssrc) in clips.into_iter().zip(&keys).zip(ssrcs) {
        let payload_type = payload_type(clip.codec);
        link.add_sender(LayerSender::new(ssrc, clip.codec, payload_type, key)).await?;
        layers.push((ssrc, clip));
    }
    Ok(Published { kind, stream, link, layers })
}

/// A person has to move the meeting: this client is told of no other MMR.
pub(crate) fn warn_of_draining(deadline_s: u64) {
    tracing::warn!(
        deadline_s,
        "the MMR goes away; join the meeting on another one before the deadline"
    );
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

/// Sends one layer's frames when their time has come.
struct Pacer {
    link: Link,
    ssrc: Ssrc,
    clip: Arc<Clip>,
    started: Instant,
    end: Option<Duration>,
    repeat: bool,
    frames: Arc<AtomicU64>,
}

async fn pace(pacer: Pacer) -> Result<(), ClientError> {
    let clip = &pacer.clip;
    let clock = clock_hz(clip.codec);
    for round in 0.. {
        for frame in &clip.frames {
            let timestamp = round * clip.duration_ticks + frame.timestamp;
            let due = ticks_to_duration(timestamp, clock);
            if pacer.end.is_some_and(|end| due >= end) {
                return Ok(());
            }
            sleep_until(pacer.started + due).await;
            pacer.link.send(pacer.ssrc, Frame { timestamp, ..frame.clone() }).await?;
            pacer.frames.fetch_add(1, Ordering::Relaxed);
        }
        if !pacer.repeat {
            // Until the last frame has been shown, so that clips of one length end together.
            sleep_until(pacer.started + clip.duration()).await;
            return Ok(());
        }
    }
    Ok(())
}
