//! Follows a meeting: subscribes to what is published, receives the layer that is sent; from MMR to MMR.

use super::layer::{LayerReception, layer_of, lock};
use super::splice::Source;
use super::tape::Tape;
use super::track::Track;
use super::{StreamReport, file_name};
use crate::moving::{Moved, Mover};
use crate::session::{Events, Session, SessionEvent, StreamInfo};
use crate::{ClientError, Link};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, interval};
use wire::control::ErrorCode;
use wire::{Kind, StreamId};

/// How often what has been taken over is let go.
const TIDY_INTERVAL: Duration = Duration::from_millis(100);

/// What the recorder's handle sees of its task.
pub(super) struct Shared {
    pub(super) streams: watch::Sender<usize>,
    pub(super) ended: watch::Sender<usize>,
    pub(super) frames: Arc<AtomicU64>,
    pub(super) resumed: AtomicU32,
    place: Mutex<Place>,
}

/// Where a recorder is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) session: Session,
    pub(super) links: Vec<Link>,
    pub(super) moved: u32,
    pub(super) mmr: Option<String>,
}

impl Shared {
    pub(super) fn new(place: Place) -> Self {
        Self {
            streams: watch::Sender::default(),
            ended: watch::Sender::default(),
            frames: Arc::default(),
            resumed: AtomicU32::default(),
            place: Mutex::new(place),
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is followed at one MMR.
pub(super) struct Stay {
    pub(super) session: Session,
    pub(super) links: Vec<Link>,
    events: Events,
    followed: HashMap<StreamId, TrackId>,
}

/// A participant publishes one stream of a kind at most, at whichever MMR.
type TrackId = (String, Kind);

struct Old {
    stay: Stay,
    until: Instant,
}

pub(super) struct Follower {
    stay: Stay,
    mover: Mover<Stay>,
    /// The MMR before, as long as a stream comes from there alone.
    old: Option<Old>,
    max_layer: u8,
    folder: Option<PathBuf>,
    shared: Arc<Shared>,
    tracks: HashMap<TrackId, Track>,
    /// Tracks there have been of each stream: each has a file of its own.
    parts: HashMap<TrackId, u32>,
    reports: Vec<StreamReport>,
}

impl Stay {
    /// Binds a link per kind, but for those that the token does not allow.
    pub(super) async fn begin(
        session: Session,
        events: Events,
        kinds: &[Kind],
    ) -> Result<Self, ClientError> {
        let mut links = Vec::new();
        for (_, link) in session.connect_all(kinds).await {
            match link {
                Ok(link) => links.push(link),
                Err(ClientError::Refused { code: ErrorCode::NotAllowed, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { session, links, events, followed: HashMap::new() })
    }
}

impl Follower {
    pub(super) fn new(
        stay: Stay,
        mover: Mover<Stay>,
        max_layer: u8,
        folder: Option<PathBuf>,
        shared: Arc<Shared>,
    ) -> Self {
        let (tracks, parts, reports) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { stay, mover, old: None, max_layer, folder, shared, tracks, parts, reports }
    }

    /// What came until an error is kept: files are finished before it is told.
    pub(super) async fn run(
        mut self,
        stop: oneshot::Receiver<()>,
    ) -> Result<Vec<StreamReport>, ClientError> {
        let followed = self.follow_until(stop).await;
        let ended = self.end_all().await;
        followed.and(ended)?;
        if let Some(old) = self.old.take() {
            old.stay.session.leave().await;
        }
        Ok(self.reports)
    }

    async fn follow_until(&mut self, mut stop: oneshot::Receiver<()>) -> Result<(), ClientError> {
        let mut tidy = interval(TIDY_INTERVAL);
        loop {
            tokio::select! {
                _ = &mut stop => return Ok(()),
                Some(event) = self.stay.events.recv() => self.handle(event).await?,
                Some(event) = next_of(&mut self.old) => self.handle_old(event).await,
                moved = self.mover.arrive() => self.take_place(moved?).await,
                _ = tidy.tick() => self.tidy().await?,
            }
        }
    }

    async fn handle(&mut self, event: SessionEvent) -> Result<(), ClientError> {
        self.mover.handle_event(&event)?;
        match event {
            SessionEvent::StreamAdded(info) => self.follow(info).await,
            SessionEvent::LayerChanged { stream, layer, roc } => {
                self.switch(stream, layer, roc).await
            }
            SessionEvent::StreamRemoved(stream) => self.lose(stream).await,
            SessionEvent::Resumed => {
                self.shared.resumed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn handle_old(&mut self, event: SessionEvent) {
        let Some(old) = &mut self.old else { return };
        match event {
            SessionEvent::StreamRemoved(stream) => {
                let track = old.stay.followed.remove(&stream);
                if let Some(track) = track.and_then(|id| self.tracks.get_mut(&id)) {
                    track.leave_before().await;
                }
            }
            SessionEvent::Closed(_) => self.leave_old().await,
            _ => {}
        }
    }

    /// Subscribes, unless the kind is not wanted or the stream is gone already.
    async fn follow(&mut self, info: StreamInfo) -> Result<(), ClientError> {
        let Some(link) = self.stay.links.iter().find(|link| link.kind() == info.kind) else {
            return Ok(());
        };
        let link = link.clone();
        match self.stay.session.subscribe(info.stream, self.max_layer).await {
            Ok((layer, roc)) => self.receive(info, &link, layer, roc).await,
            Err(ClientError::Refused { message, .. }) => {
                tracing::info!(stream = info.stream.0, message, "not subscribed");
                Ok(())
            }
            // It is announced again where this participant goes.
            Err(error) if self.mover.excuses(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Receives a layer: onto the tape that has been begun at another MMR, or onto a new one.
    async fn receive(
        &mut self,
        info: StreamInfo,
        link: &Link,
        layer: u8,
        roc: u32,
    ) -> Result<(), ClientError> {
        let id = (info.participant.clone(), info.kind);
        let codec = layer_of(&info, layer)?.codec;
        self.stay.followed.insert(info.stream, id.clone());
        let source: Source = self.mover.moved();
        if let Some(track) = self.tracks.get_mut(&id)
            && (track.codec, track.layer) == (codec, layer)
        {
            track.detach().await?;
            lock(track.tape()).expect(source);
            let tape = track.tape();
            let current = LayerReception::start(&info, layer, roc, link, source, tape).await?;
            track.info = info;
            track.attach(current);
            return Ok(());
        }
        let is_new = self.end(&id).await?;
        let part = self.parts.entry(id.clone()).or_default();
        let path = self.folder.as_ref().map(|to| to.join(file_name(&info, codec, *part)));
        *part += 1;
        let total = Arc::clone(&self.shared.frames);
        let tape = Arc::new(Mutex::new(Tape::new(codec, path, source, total)));
        let current = LayerReception::start(&info, layer, roc, link, source, &tape).await?;
        self.tracks.insert(id, Track::new(info, codec, tape, current));
        self.shared.streams.send_modify(|streams| *streams += usize::from(is_new));
        Ok(())
    }

    /// Another layer of a stream is sent from now on.
    async fn switch(&mut self, stream: StreamId, layer: u8, roc: u32) -> Result<(), ClientError> {
        let id = self.stay.followed.get(&stream);
        let Some(track) = id.and_then(|id| self.tracks.get(id)) else { return Ok(()) };
        let link = self.stay.links.iter().find(|link| link.kind() == track.info.kind);
        match link.cloned() {
            Some(link) if track.layer != layer => {
                self.receive(track.info.clone(), &link, layer, roc).await
            }
            _ => Ok(()),
        }
    }

    /// A stream ended, or its publisher is ahead on the way to another MMR.
    async fn lose(&mut self, stream: StreamId) -> Result<(), ClientError> {
        let Some(id) = self.stay.followed.remove(&stream) else { return Ok(()) };
        if self.mover.is_moving() {
            return match self.tracks.get_mut(&id) {
                Some(track) => track.detach().await,
                None => Ok(()),
            };
        }
        self.end(&id).await?;
        self.shared.ended.send_modify(|ended| *ended += 1);
        Ok(())
    }

    /// Everything comes from the new MMR as soon as it does; until then from the old one, if that
    /// still stands.
    async fn take_place(&mut self, moved: Moved<Stay>) {
        self.leave_old().await;
        let stay = std::mem::replace(&mut self.stay, moved.stay);
        self.tracks.values_mut().for_each(Track::move_on);
        match moved.overlap_until {
            Some(until) => self.old = Some(Old { stay, until }),
            None => self.leave_before().await,
        }
        let place = Place {
            session: self.stay.session.clone(),
            links: self.stay.links.clone(),
            moved: self.mover.moved(),
            mmr: self.mover.mmr(),
        };
        *self.shared.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    async fn tidy(&mut self) -> Result<(), ClientError> {
        self.mover.handle_silence(self.is_silent());
        for track in self.tracks.values_mut() {
            track.tidy().await;
        }
        let needed = self.tracks.values().any(Track::needs_before);
        if self.old.as_ref().is_some_and(|old| !needed || Instant::now() >= old.until) {
            self.leave_old().await;
        }
        if self.mover.is_moving() {
            return Ok(());
        }
        let abandoned = self.tracks.iter().filter(|(_, track)| track.is_abandoned());
        for id in abandoned.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.end(&id).await?;
            self.shared.ended.send_modify(|ended| *ended += 1);
        }
        Ok(())
    }

    /// Whether no link that carries a stream hears anything.
    fn is_silent(&self) -> bool {
        let used = |link: &&Link| self.tracks.keys().any(|(_, kind)| *kind == link.kind());
        let mut links = self.stay.links.iter().filter(used).peekable();
        links.peek().is_some() && links.all(Link::is_silent)
    }

    async fn leave_old(&mut self) {
        let Some(old) = self.old.take() else { return };
        self.leave_before().await;
        tokio::spawn(old.stay.session.leave());
    }

    async fn leave_before(&mut self) {
        for track in self.tracks.values_mut() {
            track.leave_before().await;
        }
    }

    /// Whether there was none.
    async fn end(&mut self, id: &TrackId) -> Result<bool, ClientError> {
        match self.tracks.remove(id) {
            Some(track) => {
                self.reports.extend(track.finish().await?);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Every file is finished, even when a link is gone; the first error is told then.
    async fn end_all(&mut self) -> Result<(), ClientError> {
        let mut ids: Vec<TrackId> = self.tracks.keys().cloned().collect();
        ids.sort();
        let mut outcome = Ok(());
        for id in ids {
            let ended = self.end(&id).await;
            outcome = outcome.and(ended.map(|_| ()));
        }
        outcome
    }
}

/// The next event of the MMR before; none while there is none.
async fn next_of(old: &mut Option<Old>) -> Option<SessionEvent> {
    old.as_mut()?.stay.events.recv().await
}
