//! Whom the kernel has served with a packet already: one layer's versions of it, by the mark on the packet.

use crate::limits::EXPRESS_VERSIONS;
use crate::order::ExpressVersion;
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

    /// The version a mark tells of; `None` for no mark, or somebody else's.
    pub(super) fn served_at(&self, mark: u32) -> Option<&ExpressVersion> {
        if mark == 0 {
            return None;
        }
        self.0[place(mark)].as_deref().filter(|version| version.generation == mark)
    }
}

const fn place(generation: u32) -> usize {
    generation as usize % EXPRESS_VERSIONS
}
