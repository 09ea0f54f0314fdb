//! Links: one media connection of one participant for one kind. Control gives the credentials; who proves to know them
//! on some path binds it, which the workers see and report.

use super::{Meetings, Output, ParticipantId, Refusal, secrets};
use crate::{LinkId, LinkSpec, MeetingId, Order, Path};
use std::sync::Arc;
use wire::Kind;
use wire::control::{ErrorCode, Secret, ServerMessage, SrtcpKeys};
use wire::limits::UFRAG_LEN;
use wire::srtp::SessionKeys;

/// What control remembers of a link.
pub(super) struct Link {
    pub(super) who: ParticipantId,
    pub(super) kind: Kind,
    ufrag: [u8; UFRAG_LEN],
    password: String,
    srtcp_keys: SrtcpKeys,
    /// Where it is bound now, as far as workers have told.
    pub(super) path: Option<Path>,
}

impl Meetings {
    /// Gives a participant its link of a kind. Asked again, it gives the same: trying another transport, or an address
    /// anew, takes no other credentials, and streams and subscriptions stay.
    pub(super) fn connect(&mut self, who: ParticipantId, kind: Kind) -> Result<(), Refusal> {
        let participant = self.participant(who);
        if !participant.kinds[kind.index()] {
            return Err(Refusal::new(ErrorCode::NotAllowed, "the token does not allow this kind"));
        }
        let link = match participant.links[kind.index()] {
            Some(link) => link,
            None => self.add_link(who, kind)?,
        };
        let link = self.links.get(link).expect("a participant's links are known");
        let message = ServerMessage::Link {
            kind,
            ufrag: String::from_utf8_lossy(&link.ufrag).into_owned(),
            password: Secret(link.password.clone()),
            srtcp_keys: link.srtcp_keys.clone(),
            addresses: self.config.addresses.clone(),
        };
        self.tell(who, message);
        Ok(())
    }

    /// Its routes and layers are gone already.
    pub(super) fn remove_link(&mut self, id: LinkId) {
        self.rebind(id, None);
        let link = self.links.remove(id).expect("a participant's links are known");
        self.ufrags.remove(&link.ufrag);
        self.participant_mut(link.who).links[link.kind.index()] = None;
        self.order(Order::RemoveLink(id));
    }

    /// A worker heard an authenticated check.
    pub(super) fn bound(&mut self, id: LinkId, path: Path) {
        if self.links.get(id).is_some() {
            self.rebind(id, Some(path));
        } else {
            self.close(path); // the link went while the worker's report was on its way
        }
    }

    pub(super) fn consent_lost(&mut self, id: LinkId) {
        if self.links.get(id).is_some() {
            self.rebind(id, None);
        }
    }

    fn add_link(&mut self, who: ParticipantId, kind: Kind) -> Result<LinkId, Refusal> {
        if self.links.room() == 0 {
            return Err(Refusal::new(ErrorCode::LimitReached, "this MMR is full: links"));
        }
        let link = Link {
            who,
            kind,
            ufrag: self.new_ufrag(),
            password: secrets::password(&mut self.random),
            srtcp_keys: SrtcpKeys {
                client: secrets::key(&mut self.random),
                mmr: secrets::key(&mut self.random),
            },
            path: None,
        };
        let id = self.links.insert(link).expect("room was checked above");
        let participant = self.participant_mut(who);
        participant.links[kind.index()] = Some(id);
        let meeting = participant.meeting;
        let link = self.links.get(id).expect("it was put there just now");
        let spec = Arc::new(link.spec(id, meeting));
        self.order(Order::AddLink(spec));
        Ok(id)
    }

    /// Notes where a link is bound, and closes the connection it was bound to before.
    fn rebind(&mut self, id: LinkId, path: Option<Path>) {
        let link = self.links.get_mut(id).expect("its callers looked it up");
        if link.path == path {
            return;
        }
        let before = std::mem::replace(&mut link.path, path);
        if let Some(path) = path {
            self.bound[path.transport() as usize] += 1;
        }
        if let Some(before) = before {
            self.bound[before.transport() as usize] -= 1;
            self.close(before);
        }
    }

    /// Only connections can be closed; datagrams just stop.
    fn close(&mut self, path: Path) {
        if matches!(path, Path::Stream { .. }) {
            self.output(Output::ClosePath(path));
        }
    }
}

impl Link {
    /// What workers must know.
    fn spec(&self, id: LinkId, meeting: MeetingId) -> LinkSpec {
        LinkSpec {
            id,
            meeting,
            kind: self.kind,
            ufrag: self.ufrag,
            password: self.password.clone(),
            rtcp_in: SessionKeys::derive(&self.srtcp_keys.client.0),
            rtcp_out: SessionKeys::derive(&self.srtcp_keys.mmr.0),
        }
    }
}
