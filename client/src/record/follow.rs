//! Follows a meeting: subscribes to what is published, receives the layer that is sent.

use super::StreamReport;
use super::layer::{LayerRecording, Place};
use crate::publish::warn_of_draining;
use crate::session::{Events, Session, SessionEvent, StreamInfo};
use crate::{ClientError, Link};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::{oneshot, watch};
use wire::StreamId;

/// What the recorder's handle sees of its task.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) streams: watch::Sender<usize>,
    pub(super) ended: watch::Sender<usize>,
    pub(super) frames: Arc<AtomicU64>,
    pub(super) resumed: AtomicU32,
}

pub(super) struct Follower {
    pub(super) session: Session,
    pub(super) links: Vec<Link>,
    pub(super) max_layer: u8,
    pub(super) folder: Option<PathBuf>,
    pub(super) shared: Arc<Shared>,
}

/// A stream subscribed to, and the layer that is received of it.
struct Followed {
    info: StreamInfo,
    link: Link,
    recording: Option<LayerRecording>,
    /// Layers recorded before: each has a file of its own.
    recorded: u32,
}

impl Follower {
    pub(super) async fn run(
        self,
        mut events: Events,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<Vec<StreamReport>, ClientError> {
        let mut followed = HashMap::new();
        let mut reports = Vec::new();
        loop {
            let event = tokio::select! {
                _ = &mut stop => break,
                event = events.recv() => event,
            };
            match event {
                Some(SessionEvent::StreamAdded(info)) => {
                    let stream = info.stream;
                    if let Some(one) = self.follow(info).await? {
                        followed.insert(stream, one);
                        self.shared.streams.send_modify(|streams| *streams += 1);
                    }
                }
                Some(SessionEvent::LayerChanged { stream, layer, roc }) => {
                    if let Some(one) = followed.get_mut(&stream) {
                        reports.extend(self.switch(one, layer, roc).await?);
                    }
                }
                Some(SessionEvent::StreamRemoved(stream)) => {
                    reports.extend(end(&mut followed, stream).await?);
                    self.shared.ended.send_modify(|ended| *ended += 1);
                }
                Some(SessionEvent::Resumed) => {
                    self.shared.resumed.fetch_add(1, Ordering::Relaxed);
                }
                Some(SessionEvent::Closed(why)) => {
                    // What came until then is kept: files are finished before the error is told.
                    end_all(&mut followed).await?;
                    return Err(ClientError::ChannelLost(why));
                }
                Some(SessionEvent::Draining { deadline_s }) => warn_of_draining(deadline_s),
                Some(_) => {}
                None => return Err(ClientError::ChannelLost("the session is over".into())),
            }
        }
        reports.extend(end_all(&mut followed).await?);
        Ok(reports)
    }

    /// Subscribes, unless the kind is not wanted or the stream is gone already.
    async fn follow(&self, info: StreamInfo) -> Result<Option<Followed>, ClientError> {
        let Some(link) = self.links.iter().find(|link| link.kind() == info.kind) else {
            return Ok(None);
        };
        let mut one = Followed { info, link: link.clone(), recording: None, recorded: 0 };
        // The receivers stand before the first packet can come: every layer it may be.
        match self.session.subscribe(one.info.stream, self.max_layer).await {
            Ok((layer, roc)) => {
                self.switch(&mut one, layer, roc).await?;
                Ok(Some(one))
            }
            Err(ClientError::Refused { message, .. }) => {
                tracing::info!(stream = one.info.stream.0, message, "not subscribed");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Another layer of a stream is sent from now on; the report of the one before.
    async fn switch(
        &self,
        one: &mut Followed,
        layer: u8,
        roc: u32,
    ) -> Result<Option<StreamReport>, ClientError> {
        if one.recording.as_ref().is_some_and(|recording| recording.layer() == layer) {
            return Ok(None);
        }
        let before = match one.recording.take() {
            Some(recording) => Some(recording.finish().await?),
            None => None,
        };
        let place = Place { folder: self.folder.clone(), part: one.recorded };
        let frames = Arc::clone(&self.shared.frames);
        let recording =
            LayerRecording::start(&one.info, layer, roc, &one.link, place, frames).await?;
        one.recording = Some(recording);
        one.recorded += 1;
        Ok(before)
    }
}

async fn end(
    followed: &mut HashMap<StreamId, Followed>,
    stream: StreamId,
) -> Result<Option<StreamReport>, ClientError> {
    match followed.remove(&stream).and_then(|one| one.recording) {
        Some(recording) => recording.finish().await.map(Some),
        None => Ok(None),
    }
}

/// Every file is finished, even when a link is gone; the first error is told then.
async fn end_all(
    followed: &mut HashMap<StreamId, Followed>,
) -> Result<Vec<StreamReport>, ClientError> {
    let mut streams: Vec<StreamId> = followed.keys().copied().collect();
    streams.sort();
    let mut ended = Vec::new();
    for stream in streams {
        ended.extend(end(followed, stream).await.transpose());
    }
    ended.into_iter().collect()
}
