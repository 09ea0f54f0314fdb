//! The table of links: by index, by path, by user fragment, and what the network must be told.
//!
//! What the fan-out asks about a destination is one byte in an array of its own; all else is looked at once per
//! arrival or less.

use super::clock::Stamp;
use super::link::Link;
use super::path_key::PathKey;
use crate::{LinkChange, LinkId, LinkSpec, Path, WorkerId};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use wire::Transport;

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
        assert!(link.layers().is_empty(), "control removed a link before its layers");
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
        let rehomed = link.consent(home, at)?;
        if link.path() == Some(path) {
            return Some(Bound { moved: false, rehomed, ousted: None });
        }
        if let Some(old) = link.move_to(path, at) {
            self.by_path.remove(&PathKey::of(&old));
        }
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
        let path = self.table[index as usize].as_ref().and_then(Link::path);
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
            let datagrams =
                link.and_then(|link| Some((link.spec.kind, link.path().filter(is_udp)?)));
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
            link.lose_path();
        }
        self.note_change(index);
    }

    fn note_change(&mut self, index: u32) {
        if !std::mem::replace(&mut self.is_changed[index as usize], true) {
            self.changed.push_back(index);
        }
    }
}

fn is_udp(path: &Path) -> bool {
    path.transport() == Transport::Udp
}
