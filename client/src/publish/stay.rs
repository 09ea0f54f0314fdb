//! A publisher at one MMR: its session, its streams and who else is there.

use super::pace::{Pacer, Timetable};
use super::{Sent, SentReport, Source, declared_bitrate, new_key, payload_type};
use crate::media::Clip;
use crate::send::LayerSender;
use crate::session::{Events, Session, SessionEvent};
use crate::{ClientError, Link, limits};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::control::{Key, LayerOffer};
use wire::srtp::MasterKey;
use wire::{Kind, Ssrc, StreamId};

pub(super) struct Stay {
    pub(super) session: Session,
    pub(super) events: Events,
    pub(super) streams: Vec<Published>,
    pub(super) pacers: JoinSet<Result<(), ClientError>>,
    /// Everybody else there.
    pub(super) others: HashSet<String>,
}

pub(super) struct Published {
    pub(super) kind: Kind,
    pub(super) link: Link,
    stream: StreamId,
    layers: Vec<(Ssrc, Arc<Clip>)>,
}

impl Stay {
    /// Binds a link per kind and publishes; nothing is sent yet. Timestamps count from `clock`.
    pub(super) async fn begin(
        session: Session,
        events: Events,
        sources: &[Source],
        clock: u32,
    ) -> Result<Self, ClientError> {
        let kinds: Vec<Kind> = sources.iter().map(|source| source.kind).collect();
        let links = session.connect_all(&kinds).await;
        let mut streams = Vec::new();
        for (source, (_, link)) in sources.iter().zip(links) {
            streams.push(publish(&session, link?, source, clock).await?);
        }
        let others = session.welcome().roster.iter().cloned().collect();
        Ok(Self { session, events, streams, pacers: JoinSet::new(), others })
    }

    /// Sends all frames that are due from now on.
    pub(super) fn start(&mut self, timetable: &Timetable) {
        let from = timetable.started.elapsed();
        for stream in &self.streams {
            for (ssrc, clip) in &stream.layers {
                let pacer = Pacer {
                    link: stream.link.clone(),
                    ssrc: *ssrc,
                    clip: Arc::clone(clip),
                    timetable: timetable.clone(),
                    from,
                };
                self.pacers.spawn(pacer.run());
            }
        }
    }

    /// Notes who comes and goes.
    pub(super) fn note(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::ParticipantJoined(who) => drop(self.others.insert(who.clone())),
            SessionEvent::ParticipantLeft(who) => drop(self.others.remove(who)),
            _ => {}
        }
    }

    /// Whether no link hears anything.
    pub(super) fn is_silent(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(|stream| stream.link.is_silent())
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        let clips = self.streams.iter().flat_map(|stream| &stream.layers);
        clips.map(|(_, clip)| clip.duration()).max()
    }

    /// Waits for the last repairs, and leaves.
    pub(super) async fn end(mut self) -> Result<Sent, ClientError> {
        self.pacers.abort_all();
        for stream in &self.streams {
            stream.link.linger().await?;
        }
        sleep(limits::LINGER).await;
        self.leave().await
    }

    /// Leaves at once.
    pub(super) async fn leave(self) -> Result<Sent, ClientError> {
        let (mut sent, mut links) = (Vec::new(), Vec::new());
        for Published { kind, stream, link, layers } in &self.streams {
            for (layer, (ssrc, clip)) in layers.iter().enumerate() {
                let statistics = link.remove_sender(*ssrc).await?;
                let (stream, kind, ssrc, codec) = (*stream, *kind, *ssrc, clip.codec);
                sent.push(SentReport { stream, kind, codec, ssrc, layer, statistics });
            }
            links.push(link.report().await?);
            self.session.unpublish(*stream).await;
        }
        self.session.leave().await;
        Ok((sent, links))
    }
}

async fn publish(
    session: &Session,
    link: Link,
    source: &Source,
    clock: u32,
) -> Result<Published, ClientError> {
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
    let (stream, ssrcs) = session.publish(*kind, offers).await?;
    let mut layers = Vec::new();
    for ((clip, key), ssrc) in clips.iter().zip(&keys).zip(ssrcs) {
        let payload_type = payload_type(clip.codec);
        let sender = LayerSender::new(ssrc, clip.codec, payload_type, key).counting_from(clock);
        link.add_sender(sender).await?;
        layers.push((ssrc, Arc::clone(clip)));
    }
    Ok(Published { kind: *kind, stream, link, layers })
}
