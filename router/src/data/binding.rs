//! Where links are: authenticated STUN checks, consent, connections that close, and what other workers heard.

use super::Router;
use super::clock::Stamp;
use super::fanout::send_own;
use super::links::Bound;
use super::timers::consent_ends;
use crate::{DropReason, Event, LinkId, Outbox, Path, PeerMessage, WorkerId, limits};
use std::time::Instant;
use wire::stun::BindingRequest;

impl Router {
    /// A STUN message. Only an authentic check is answered, or changes anything (RFC 8445 §7.3).
    pub(super) fn handle_check(
        &mut self,
        path: Path,
        packet: &[u8],
        at: Instant,
        outbox: &mut Outbox,
    ) {
        match self.authenticate(packet, &path, self.clock.stamp(at)) {
            Ok((link, request)) => {
                self.consent(link, path, at);
                let Some(spec) = self.links.at(link).map(|link| &link.spec) else { return };
                let write =
                    |out: &mut [u8]| request.write_success(path.remote(), &spec.password, out);
                let answered = send_own(&self.links, &mut self.tally, outbox, link, write);
                self.tally.counters.stun += u64::from(answered);
            }
            Err(reason) => self.tally.drops.count(reason),
        }
    }

    fn authenticate<'a>(
        &self,
        packet: &'a [u8],
        path: &Path,
        now: Stamp,
    ) -> Result<(u32, BindingRequest<'a>), DropReason> {
        let request = BindingRequest::parse(packet).map_err(|_| DropReason::Malformed)?;
        let index = self.links.by_ufrag(request.ufrag).ok_or(DropReason::UnknownUfrag)?;
        let link = self.links.at(index).ok_or(DropReason::UnknownUfrag)?;
        if !request.is_authentic(&link.spec.password) {
            return Err(DropReason::StunForged);
        }
        link.may_be_at(path, now).then_some((index, request)).ok_or(DropReason::CheckLimit)
    }

    /// An authentic check was heard here: binds, and tells every other worker, changed or not.
    fn consent(&mut self, index: u32, path: Path, at: Instant) {
        let Some(link) = self.links.at(index) else { return };
        // Another worker's clock reading may lie a little ahead of ours.
        let stamp = self.clock.stamp(at).max(link.consent_at());
        let id = link.spec.id;
        let Some(bound) = self.bind(index, path, self.worker, stamp) else { return };
        if let Some(ousted) = bound.ousted {
            self.note_loss(ousted, stamp);
        }
        let message = PeerMessage::Bound { link: id, path, worker: self.worker, at };
        self.tell_peers_of_consent(index, bound, message, stamp);
        self.announce(index, stamp);
    }

    /// Said again at every check, as queues may be full; but not more often than it helps.
    fn tell_peers_of_consent(
        &mut self,
        index: u32,
        bound: Bound,
        message: PeerMessage,
        now: Stamp,
    ) {
        let Some(link) = self.links.at_mut(index) else { return };
        let is_news = bound.moved || bound.rehomed;
        let told = link.told_at.is_some_and(|at| now.since(at) < limits::CONSENT_TOLD_INTERVAL);
        if is_news || !told {
            link.told_at = Some(now);
            self.tell_peer(None, message);
        }
    }

    /// The link is nowhere, and this worker is the one to tell.
    fn note_loss(&mut self, index: u32, now: Stamp) {
        if let Some(link) = self.links.at_mut(index) {
            link.is_loss_untold = true;
        }
        self.announce(index, now);
    }

    /// Control hears once where a link is that is heard here, or that it is nowhere: the kernel sends to where control
    /// knows it to be. Until control's queue has room it is tried again, and told is what holds then.
    pub(super) fn announce(&mut self, index: u32, now: Stamp) {
        let Some(link) = self.links.at(index) else { return };
        let (id, path, worker) = (link.spec.id, link.path(), self.worker);
        let event = match path {
            Some(path) if !link.announced && link.home() == Some(worker) => {
                Event::Bound { link: id, path, worker }
            }
            None if link.is_loss_untold => Event::ConsentLost { link: id },
            _ => return,
        };
        if !self.tell_control(event) {
            return self.timers.retry_telling(index, now);
        }
        if let Some(link) = self.links.at_mut(index) {
            link.announced = path.is_some();
            link.is_loss_untold = false;
        }
    }

    /// An event did not reach control.
    pub(super) fn take_back(&mut self, event: Event, now: Stamp) {
        match event {
            Event::Bound { link, .. } | Event::ConsentLost { link } => {
                let Some(link) = self.links.get(link).map(|link| link.spec.id.index) else {
                    return;
                };
                let Some(link) = self.links.at_mut(link) else { return };
                link.announced = false;
                link.is_loss_untold = link.path().is_none();
                self.timers.retry_telling(link.spec.id.index, now);
            }
            // Who was given another layer is served the former one by the kernel until control knows.
            Event::Switched { .. } | Event::Rollover { .. } => drop(self.tell_control(event)),
            // The next one comes soon.
            Event::Level { .. } => {}
        }
    }

    /// Another worker heard an authentic check. A link that is not known yet, or no longer, is none of ours: control's
    /// orders and the workers' messages come on different queues, and the next check says it again.
    pub(super) fn hear_bound(&mut self, id: LinkId, path: Path, worker: WorkerId, at: Instant) {
        if self.links.get(id).is_some() {
            self.bind(id.index, path, worker, self.clock.stamp(at));
        }
    }

    fn bind(&mut self, index: u32, path: Path, home: WorkerId, at: Stamp) -> Option<Bound> {
        let bound = self.links.bind(index, path, home, at)?;
        self.timers.expect_consent(index, at);
        if bound.moved || bound.rehomed {
            self.move_layers(index, bound.rehomed, at);
        }
        Some(bound)
    }

    /// The link's packets come another way now. If another worker hears them, what comes next does not follow what
    /// came last. Who waits for a keyframe is waited for here.
    fn move_layers(&mut self, link: u32, rehomed: bool, at: Stamp) {
        let Some(link) = self.links.at(link) else { return };
        for &index in link.layers() {
            let Some(layer) = self.layers.at_mut(index) else { continue };
            if rehomed {
                layer.ingress.rest();
            }
            layer.keyframe_wanted |= self.switches.is_awaited(index);
            if layer.keyframe_wanted {
                self.timers.expect_keyframe(index, at);
            }
        }
    }

    /// The link's time is up unless it consented again.
    pub(super) fn check_consent(&mut self, index: u32, now: Stamp) {
        let Some(link) = self.links.at(index) else { return };
        let consent_at = link.consent_at();
        if link.path().is_some() {
            if consent_ends(consent_at) > now {
                return self.timers.expect_consent(index, consent_at);
            }
            let tells = link.home() == Some(self.worker);
            self.links.unbind(index);
            // Every worker sees it; the one that heard the link tells.
            if tells {
                self.note_loss(index, now);
            }
        }
    }

    /// A connection closed.
    pub(super) fn close(&mut self, path: Path, now: Stamp) {
        let link = self.links.by_path(&path).and_then(|index| self.links.at(index));
        let Some(id) = link.map(|link| link.spec.id) else { return };
        self.links.unbind(id.index);
        self.tell_peer(None, PeerMessage::Unbound { link: id, path });
        self.note_loss(id.index, now);
    }

    /// Another worker's connection closed. The link may be elsewhere by now.
    pub(super) fn hear_unbound(&mut self, id: LinkId, path: Path) {
        if self.links.get(id).is_some_and(|link| link.path() == Some(path)) {
            self.links.unbind(id.index);
        }
    }
}
