//! Every link: who it is, where it is bound, and whether packets may go there.
//!
//! What the fan-out asks about a destination is one byte in an array of its own; all else is looked at once per
//! arrival or less.

use super::clock::Stamp;
use super::police::Bucket;
use crate::{LinkChange, LinkId, LinkSpec, Path, WorkerId, limits};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use wire::srtp::ReplayWindow;
use wire::{Ssrc, Transport};

/// How a link's packets leave. The fan-out's whole view of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// Nowhere: not bound, or consent lost.
    Unbound,
    /// From the worker's own socket.
    Datagram,
    /// Over a connection of the stream thread.
    Stream,
}

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
}

/// The links of one worker.
pub(super) struct Links {
    ways: Box<[Way]>,
    table: Vec<Option<Link>>,
    by_path: HashMap<PathKey, u32>,
    by_ufrag: HashMap<[u8; wire::limits::UFRAG_LEN], u32>,
    /// Indexes whose binding the network must be told, each once. Told is what holds when it asks.
    changed: VecDeque<u32>,
    /// Which stand in `changed`, and for which the network has a binding: of places, whoever has them now.
    is_changed: Box<[bool]>,
    in_network: Box<[bool]>,
}

/// What a binding changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The path is another than before.
    pub(super) moved: bool,
    /// Another worker hears the link from now on.
    pub(super) rehomed: bool,
    /// The link that had the path before and has none now.
    pub(super) ousted: Option<u32>,
}

impl Links {
    /// Takes memory for `capacity` links.
    pub(super) fn new(capacity: u32) -> Self {
        let size = capacity as usize;
        Self {
            ways: vec![Way::Unbound; size].into_boxed_slice(),
            table: (0..size).map(|_| None).collect(),
            by_path: HashMap::with_capacity(2 * size),
            by_ufrag: HashMap::with_capacity(2 * size),
            changed: VecDeque::with_capacity(size),
            is_changed: vec![false; size].into_boxed_slice(),
            in_network: vec![false; size].into_boxed_slice(),
        }
    }

    /// A link may be bound from now on.
    pub(super) fn add(&mut self, spec: Arc<LinkSpec>) {
        let index = spec.id.index;
        let place = &mut self.table[index as usize];
        assert!(place.is_none(), "control gave a link's index away twice");
        let former = self.by_ufrag.insert(spec.ufrag, index);
        assert!(former.is_none(), "control gave a user fragment away twice");
        *place = Some(Link::new(spec));
    }

    /// The link is gone.
    pub(super) fn remove(&mut self, id: LinkId) {
        assert!(self.get(id).is_some(), "control removed a link that is not there");
        self.unbind(id.index);
        let link = self.table[id.index as usize].take();
        let Some(link) = link else { return };
        assert_eq!(link.layer_count, 0, "control removed a link before its layers");
        assert_eq!(link.routes, 0, "control removed a link before its routes");
        self.by_ufrag.remove(&link.spec.ufrag);
    }

    /// An authenticated check was heard by `home` at `at`, from `path`. `None` when something newer is known.
    pub(super) fn bind(
        &mut self,
        index: u32,
        path: Path,
        home: WorkerId,
        at: Stamp,
    ) -> Option<Bound> {
        let link = self.table[index as usize].as_mut()?;
        if at < link.consent_at {
            return None;
        }
        link.consent_at = at;
        let rehomed = link.rehome(home, at);
        if link.path == Some(path) {
            return Some(Bound { moved: false, rehomed, ousted: None });
        }
        if let Some(old) = link.path.replace(path) {
            self.by_path.remove(&PathKey::of(&old));
        }
        link.announced = false;
        link.moved_at = Some(at);
        self.ways[index as usize] = match path.transport() {
            Transport::Udp => Way::Datagram,
            Transport::Tcp | Transport::Tls => Way::Stream,
        };
        let ousted = self.by_path.insert(PathKey::of(&path), index);
        if let Some(other) = ousted {
            self.lose_path(other);
        }
        self.note_change(index);
        Some(Bound { moved: true, rehomed, ousted })
    }

    /// Nothing is sent to the link, and nothing taken from its path, until it is bound again. False when it was not
    /// bound.
    pub(super) fn unbind(&mut self, index: u32) -> bool {
        let path = self.table[index as usize].as_ref().and_then(|link| link.path);
        if let Some(path) = path {
            self.by_path.remove(&PathKey::of(&path));
            self.lose_path(index);
        }
        path.is_some()
    }

    /// What the network must be told next.
    pub(super) fn poll_change(&mut self) -> Option<LinkChange> {
        while let Some(index) = self.changed.pop_front() {
            self.is_changed[index as usize] = false;
            let link = self.table[index as usize].as_ref();
            let datagrams = link.and_then(|link| Some((link.spec.kind, link.path.filter(is_udp)?)));
            let had = std::mem::replace(&mut self.in_network[index as usize], datagrams.is_some());
            match datagrams {
                Some((kind, path)) => return Some(LinkChange::Bind { link: index, kind, path }),
                None if had => return Some(LinkChange::Unbind { link: index }),
                None => {}
            }
        }
        None
    }

    /// A link that is still the one meant.
    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.at(id.index).filter(|link| link.spec.id == id)
    }

    /// The link with this index.
    pub(super) fn at(&self, index: u32) -> Option<&Link> {
        self.table.get(index as usize)?.as_ref()
    }

    /// The link with this index, to change.
    pub(super) fn at_mut(&mut self, index: u32) -> Option<&mut Link> {
        self.table.get_mut(index as usize)?.as_mut()
    }

    /// The link bound to a path.
    pub(super) fn by_path(&self, path: &Path) -> Option<u32> {
        self.by_path.get(&PathKey::of(path)).copied()
    }

    /// The link with this user fragment.
    pub(super) fn by_ufrag(&self, ufrag: &str) -> Option<u32> {
        let ufrag: [u8; wire::limits::UFRAG_LEN] = ufrag.as_bytes().try_into().ok()?;
        self.by_ufrag.get(&ufrag).copied()
    }

    /// How packets for a link leave.
    pub(super) fn way(&self, index: u32) -> Way {
        self.ways[index as usize]
    }

    /// The same for all links.
    pub(super) fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_ufrag.len()
    }

    /// How many are bound.
    pub(super) fn bound(&self) -> usize {
        self.by_path.len()
    }

    fn lose_path(&mut self, index: u32) {
        self.ways[index as usize] = Way::Unbound;
        if let Some(link) = self.at_mut(index) {
            link.path = None;
            link.announced = false;
        }
        self.note_change(index);
    }

    fn note_change(&mut self, index: u32) {
        if !std::mem::replace(&mut self.is_changed[index as usize], true) {
            self.changed.push_back(index);
        }
    }
}

impl Link {
    fn new(spec: Arc<LinkSpec>) -> Self {
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
        }
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

fn is_udp(path: &Path) -> bool {
    path.transport() == Transport::Udp
}

/// A path packed for hashing and comparing: hashing a `SocketAddr` field by field costs several times as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PathKey([u64; 3]);

impl PathKey {
    fn of(path: &Path) -> Self {
        let (socket, remote) = match path {
            Path::Udp { socket, remote } => (u64::from(*socket), remote),
            Path::Stream { connection, .. } => return Self([connection.0, 0, 1 << 63]),
        };
        let (address, zone) = match remote {
            std::net::SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            std::net::SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        let bits = address.to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "the low half")]
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        // 0 │ socket: 8 │ zone: 32 │ port: 16
        Self([high, low, socket << 48 | u64::from(zone) << 16 | u64::from(remote.port())])
    }
}
