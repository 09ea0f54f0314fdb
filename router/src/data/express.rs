//! Whom the kernel has served with a packet already: one layer's versions of it, by the mark on the packet.

use crate::limits::{EXPRESS_GENERATION_MIN, EXPRESS_VERSIONS};
use crate::order::ExpressVersion;
use hashbrown::HashSet;
use std::sync::Arc;

/// The last versions: packets that bear older ones may still wait in a socket.
#[derive(Default)]
pub(super) struct Express([Option<Arc<ExpressVersion>>; EXPRESS_VERSIONS]);

impl Express {
    /// Packets may bear this version's mark from now on.
    pub(super) fn note(&mut self, version: Arc<ExpressVersion>) {
        let place = place(version.generation);
        self.0[place] = Some(version);
    }

    /// Whom the kernel has served with a packet that bears this mark.
    pub(super) fn served_at(&self, mark: u32) -> Served<'_> {
        if mark == 0 {
            return Served::Nobody;
        }
        let newest = || self.0.iter().flatten().map(|version| version.generation).max();
        match self.0[place(mark)].as_deref() {
            Some(version) if version.generation == mark => Served::Links(&version.links),
            _ if mark >= EXPRESS_GENERATION_MIN && newest().is_some_and(|it| it > mark) => {
                Served::Forgotten
            }
            _ => Served::Nobody,
        }
    }
}

/// Whom the kernel has served with a packet.
pub(super) enum Served<'a> {
    /// No mark, or somebody else's.
    Nobody,
    /// These, by index.
    Links(&'a HashSet<u32>),
    /// Some, but nobody knows whom any more.
    Forgotten,
}

const fn place(generation: u32) -> usize {
    generation as usize % EXPRESS_VERSIONS
}
