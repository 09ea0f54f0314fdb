//! One link: where it is bound, who hears it, what it publishes, and what it may still send or have.

use super::clock::Stamp;
use super::police::Bucket;
use crate::{LinkSpec, Path, WorkerId, limits};
use std::sync::Arc;
use wire::Ssrc;
use wire::srtp::ReplayWindow;

/// A link.
pub(super) struct Link {
    /// As control made it.
    pub(super) spec: Arc<LinkSpec>,
    /// Where it is bound.
    path: Option<Path>,
    /// When its last authenticated check was heard, here or elsewhere.
    consent_at: Stamp,
    /// When its path last changed.
    moved_at: Option<Stamp>,
    /// When other workers were last told of it from here.
    pub(super) told_at: Option<Stamp>,
    /// The worker that heard it: its media arrives there.
    home: Option<WorkerId>,
    /// The one before, and until when.
    previous_home: Option<(WorkerId, Stamp)>,
    /// The layers published over it, by index.
    layers: [u32; wire::limits::LAYERS_MAX],
    layer_count: u8,
    /// Routes and waiting switches that end here.
    pub(super) routes: u32,
    /// Next SRTCP index of this worker for this link.
    rtcp_index: u32,
    /// Replay windows of the client's last two RTCP senders.
    rtcp_senders: [(Ssrc, ReplayWindow); 2],
    /// Retransmissions it may still have.
    pub(super) repair: Bucket,
    /// RTCP it may still send.
    pub(super) feedback: Bucket,
    /// Control knows the path.
    pub(super) announced: bool,
    /// Control does not know yet that consent was lost.
    pub(super) is_loss_untold: bool,
}

impl Link {
    /// Not bound yet.
    pub(super) fn new(spec: Arc<LinkSpec>) -> Self {
        Self {
            spec,
            path: None,
            consent_at: Stamp(0),
            moved_at: None,
            told_at: None,
            home: None,
            previous_home: None,
            layers: [0; wire::limits::LAYERS_MAX],
            layer_count: 0,
            routes: 0,
            rtcp_index: 0,
            rtcp_senders: [(Ssrc(0), ReplayWindow::default()); 2],
            repair: Bucket::of_repair(),
            feedback: Bucket::of_feedback(),
            announced: false,
            is_loss_untold: false,
        }
    }

    /// An authenticated check was heard by `home`; answers whether another worker heard the last one. `None` when
    /// that was later.
    pub(super) fn consent(&mut self, home: WorkerId, at: Stamp) -> Option<bool> {
        if at < self.consent_at {
            return None;
        }
        self.consent_at = at;
        Some(self.rehome(home, at))
    }

    /// It is elsewhere from now on; answers where it was.
    pub(super) fn move_to(&mut self, path: Path, at: Stamp) -> Option<Path> {
        self.announced = false;
        self.is_loss_untold = false;
        self.moved_at = Some(at);
        self.path.replace(path)
    }

    /// It is nowhere.
    pub(super) fn lose_path(&mut self) {
        self.announced = false;
        self.path = None;
    }

    /// Where it is bound.
    pub(super) fn path(&self) -> Option<Path> {
        self.path
    }

    /// When it last consented.
    pub(super) fn consent_at(&self) -> Stamp {
        self.consent_at
    }

    /// Whether a check from this path may be taken now: a link does not move twice at once.
    pub(super) fn may_be_at(&self, path: &Path, now: Stamp) -> bool {
        self.path.as_ref() == Some(path)
            || self.moved_at.is_none_or(|at| now.since(at) >= limits::MOVE_INTERVAL)
    }

    /// The worker that hears it.
    pub(super) fn home(&self) -> Option<WorkerId> {
        self.home
    }

    /// The workers that may have its packets in their history: home first.
    pub(super) fn homes(&self, now: Stamp) -> impl Iterator<Item = WorkerId> + use<> {
        let previous =
            self.previous_home.filter(|(_, until)| now < *until).map(|(worker, _)| worker);
        self.home.into_iter().chain(previous)
    }

    /// The layers published over it, by index.
    pub(super) fn layers(&self) -> &[u32] {
        &self.layers[..usize::from(self.layer_count)]
    }

    /// A layer is published over it.
    pub(super) fn add_layer(&mut self, layer: u32) {
        assert!(self.layers().len() < self.layers.len(), "control put too many layers on a link");
        self.layers[usize::from(self.layer_count)] = layer;
        self.layer_count += 1;
    }

    /// No longer.
    pub(super) fn remove_layer(&mut self, layer: u32) {
        let place = self.layers().iter().position(|at| *at == layer);
        let place = place.expect("a layer stands on its link from its addition to its removal");
        self.layer_count -= 1;
        self.layers.swap(place, usize::from(self.layer_count));
    }

    /// The next SRTCP index; `None` when the key is used up (2^31 packets, RFC 3711 §9.2).
    pub(super) fn next_rtcp_index(&mut self) -> Option<u32> {
        let index = (self.rtcp_index < 1 << 31).then_some(self.rtcp_index)?;
        self.rtcp_index += 1;
        Some(index)
    }

    /// Notes an authentic RTCP packet; false when it is a replay. Two senders are followed, so that a client may
    /// start over with another SSRC.
    pub(super) fn accept_rtcp(&mut self, sender: Ssrc, index: u32) -> bool {
        let [latest, former] = &mut self.rtcp_senders;
        if latest.0 != sender {
            std::mem::swap(latest, former);
        }
        if latest.0 != sender {
            *latest = (sender, ReplayWindow::default());
        }
        latest.1.accept(u64::from(index))
    }

    fn rehome(&mut self, home: WorkerId, at: Stamp) -> bool {
        if self.home == Some(home) {
            return false;
        }
        if let Some(previous) = self.home.replace(home) {
            self.previous_home = Some((previous, at.plus(limits::PREVIOUS_HOME)));
        }
        true
    }
}
