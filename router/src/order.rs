//! What crosses threads: orders from control to workers, events back, and messages between workers.
//!
//! Every worker carries out the same orders in the same sequence, at its own time. Control keeps this sequence, so
//! that a worker never meets an order about something it does not know, and may assert it:
//!
//! ```text
//!   AddLink ─▶ AddLayer ─▶ Route ─▶ Switch* ─▶ Unroute ─▶ RemoveLayer ─▶ RemoveLink
//!   (publisher's link)     (layer and link exist)        (no route left)  (no layer, no route left)
//! ```
//!
//! * An index is given away again only after its removal was ordered, with the next generation.
//! * The tables of the workers never need more room than control was configured with: an index is below the
//!   configured number, and `Route` less `Unroute` stays below the configured number of routes.
//! * `Route` and `Unroute` may be repeated and then change nothing: after [`Event::Switched`] control orders the
//!   outcome to every worker, as only the worker that heard the keyframe has switched.
//! * A layer is routed to links of its own meeting only.

use crate::{LayerId, LinkId, MeetingId, Path, WorkerId, limits};
use hashbrown::HashSet;
use std::sync::Arc;
use std::time::Instant;
use wire::mark::Marks;
use wire::srtp::SessionKeys;
use wire::{Bitrate, Kind, Seq, Ssrc};

/// Control → every worker, all in the same sequence.
#[derive(Clone)]
#[expect(missing_docs, reason = "the variants' texts name their fields")]
pub enum Order {
    /// A participant may bind a link.
    AddLink(Arc<LinkSpec>),
    /// The link is gone; its routes and layers were removed by orders before.
    RemoveLink(LinkId),
    /// A layer to be expected on its publisher's link.
    AddLayer(Arc<LayerSpec>),
    /// No packet of the layer is taken any more; its routes were removed before.
    RemoveLayer(LayerId),
    /// Send the layer to the link, from now on. Nothing new when it is sent already.
    Route { layer: LayerId, link: LinkId },
    /// Stop that, and forget a switch that waits from or to this layer for this link. Nothing new when neither is.
    Unroute { layer: LayerId, link: LinkId },
    /// Send `to` instead of `from`, from the next keyframe of `to` on; a keyframe is asked for. One switch waits per
    /// layer and link: a later one from the same layer replaces it. Nothing when `from` is not sent to the link.
    Switch { from: LayerId, to: LayerId, link: LinkId },
    /// Some worker heard the layer's sequence numbers wrap: a worker that knows a lower counter takes this one and
    /// forgets which number was the highest. So the counter goes on when the publisher's address changes to another
    /// worker's, which has not heard the wrap.
    Rollover { layer: LayerId, roc: u32 },
    /// New DSCP marks.
    Mark(Marks),
    /// Which links the kernel serves from some packet on (docs: ARCHITECTURE.md, the express plane). Passed over when
    /// the layer is gone.
    Express(Arc<ExpressVersion>),
}

/// The links that the kernel serves with those packets of a layer that bear this generation as their mark. They get
/// nothing of these packets from the worker.
#[derive(Debug)]
pub struct ExpressVersion {
    /// Whose packets.
    pub layer: LayerId,
    /// Their mark; at least `EXPRESS_GENERATION_MIN`, and one more than the version's before.
    pub generation: u32,
    /// By index.
    pub links: HashSet<u32>,
}

/// A link as control makes it.
pub struct LinkSpec {
    /// Its number.
    pub id: LinkId,
    /// Nothing of another meeting reaches it.
    pub meeting: MeetingId,
    /// Of all its packets.
    pub kind: Kind,
    /// Our user fragment, unique among links.
    pub ufrag: [u8; wire::limits::UFRAG_LEN],
    /// ICE password.
    pub password: String,
    /// Unprotects the client's RTCP.
    pub rtcp_in: SessionKeys,
    /// Protects ours; each worker uses the SSRC `WorkerId + 1`, so that no nonce repeats.
    pub rtcp_out: SessionKeys,
}

/// A layer as control makes it.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// Its number.
    pub id: LayerId,
    /// The publisher's link.
    pub link: LinkId,
    /// The meeting, for lookups of feedback by SSRC.
    pub meeting: MeetingId,
    /// Its label.
    pub ssrc: Ssrc,
    /// Audio layers have their levels followed.
    pub kind: Kind,
    /// Enforced.
    pub max_bitrate: Bitrate,
}

/// Worker → control.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants' texts name their fields")]
pub enum Event {
    /// The link was bound to a new path by an authenticated check.
    Bound { link: LinkId, path: Path, worker: WorkerId },
    /// No consent for `CONSENT_TIMEOUT`, or the connection closed: nothing is sent to it any more.
    ConsentLost { link: LinkId },
    /// Loudness of an audio layer over the last interval, −dBov (0 loudest), and whether its sender calls it speech.
    Level { layer: LayerId, level: u8, voice: bool },
    /// The layer's sequence numbers wrapped; the new rollover counter.
    Rollover { layer: LayerId, roc: u32 },
    /// The route was switched at a keyframe (see [`Order::Switch`]).
    Switched { from: LayerId, to: LayerId, link: LinkId },
}

/// Worker → worker, on bounded queues. All may be lost without harm: what matters is said again.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants' texts name their fields")]
pub enum PeerMessage {
    /// An authenticated check was heard by `worker`; said again at each, `CONSENT_TOLD_INTERVAL` apart. Feedback for the link's layers goes there.
    Bound { link: LinkId, path: Path, worker: WorkerId, at: Instant },
    /// The link's connection closed.
    Unbound { link: LinkId, path: Path },
    /// A subscriber misses packets of a layer that is heard here.
    Nack { layer: LayerId, link: LinkId, lost: NackSet },
    /// A subscriber needs a keyframe of a layer that is heard here.
    Pli { layer: LayerId },
    /// A layer's highest sequence number, extended by its rollover counter (RFC 3711 §3.3.1); said four times per
    /// cycle, so that the worker that hears the layer next, after a rebinding, goes on counting.
    Heard { layer: LayerId, extended: u64 },
}

/// A few RFC 4585 packet ids with their masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NackSet {
    /// How many of `entries` count.
    pub len: u8,
    /// First lost packet, and a mask of the 16 behind it.
    pub entries: [(Seq, u16); limits::NACK_ENTRIES_MAX],
}

/// Router → its worker's network, to be applied before anything is transmitted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants' texts name their fields")]
pub enum LinkChange {
    /// Packets for the link go there from now on. Only UDP paths.
    Bind { link: u32, kind: Kind, path: Path },
    /// No packet for the link follows.
    Unbind { link: u32 },
    /// New DSCP marks for all that follows.
    Mark(Marks),
}

impl NackSet {
    /// Nothing lost.
    pub const EMPTY: Self = Self { len: 0, entries: [(Seq(0), 0); limits::NACK_ENTRIES_MAX] };

    /// Adds one sequence number, to the last entry's mask if it reaches there; false when there is no room.
    pub fn add(&mut self, seq: Seq) -> bool {
        if let Some((pid, blp)) = self.last_entry() {
            let behind = seq.distance_from(*pid);
            if (1..=16).contains(&behind) {
                *blp |= 1 << (behind - 1);
                return true;
            }
        }
        self.add_entry(seq, 0)
    }

    /// Adds an entry as it stands in a NACK; false when there is no room.
    pub fn add_entry(&mut self, pid: Seq, blp: u16) -> bool {
        let Some(entry) = self.entries.get_mut(usize::from(self.len)) else { return false };
        *entry = (pid, blp);
        self.len += 1;
        true
    }

    /// No entry can be added.
    pub const fn is_full(&self) -> bool {
        self.len as usize >= self.entries.len()
    }

    /// The entries that count.
    pub fn entries(&self) -> &[(Seq, u16)] {
        &self.entries[..usize::from(self.len).min(self.entries.len())]
    }

    /// Every sequence number asked for.
    pub fn seqs(&self) -> impl Iterator<Item = Seq> {
        self.entries().iter().flat_map(|&(pid, blp)| {
            let masked = (0..16).filter(move |bit| blp & 1 << bit != 0).map(move |bit| bit + 1);
            std::iter::once(0).chain(masked).map(move |behind| pid.plus(behind))
        })
    }

    fn last_entry(&mut self) -> Option<&mut (Seq, u16)> {
        let last = usize::from(self.len).checked_sub(1)?;
        self.entries.get_mut(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_asked_for_come_back_in_order_across_the_wrap() {
        let lost = [65_530, 65_531, 65_535, 0, 10, 11, 12, 200];
        let mut set = NackSet::EMPTY;
        assert!(lost.iter().all(|seq| set.add(Seq(*seq))));
        assert_eq!(set.seqs().map(|seq| seq.0).collect::<Vec<_>>(), lost);
        assert_eq!(set.entries().len(), 3);
    }

    #[test]
    fn a_full_set_takes_no_more() {
        let mut set = NackSet::EMPTY;
        let added = (0..100u16).take_while(|step| set.add(Seq(step * 17))).count();
        assert_eq!(added, limits::NACK_ENTRIES_MAX);
    }
}
