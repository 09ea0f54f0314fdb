//! Switches that wait for a keyframe: a link gets one layer until another one's keyframe comes.

use super::lists::Lists;
use hashbrown::HashMap;

/// The switches. Layers and links by index.
pub(super) struct Switches {
    /// Links that wait, by the layer whose keyframe they wait for.
    waiting: Lists,
    /// (from, link) → to, and (to, link) → from.
    targets: HashMap<(u32, u32), u32>,
    origins: HashMap<(u32, u32), u32>,
    capacity: usize,
}

impl Switches {
    /// Takes memory for `layers` layers and `capacity` switches.
    pub(super) fn new(layers: u32, capacity: u32) -> Self {
        Self {
            waiting: Lists::new(layers, capacity),
            targets: HashMap::with_capacity(2 * capacity as usize),
            origins: HashMap::with_capacity(2 * capacity as usize),
            capacity: capacity as usize,
        }
    }

    /// Notes a switch; replaces one that waits from `from`, and one that waits for `to`, on this link. False when
    /// there is no room.
    pub(super) fn insert(&mut self, from: u32, to: u32, link: u32) -> bool {
        self.forget(from, link);
        self.forget(to, link);
        if self.targets.len() == self.capacity {
            return false;
        }
        self.targets.insert((from, link), to);
        self.origins.insert((to, link), from);
        self.waiting.insert(to, link);
        true
    }

    /// Forgets the switches of a link from or to a layer.
    pub(super) fn forget(&mut self, layer: u32, link: u32) {
        if let Some(to) = self.targets.remove(&(layer, link)) {
            self.origins.remove(&(to, link));
            self.waiting.remove(to, link);
        }
        if let Some(from) = self.origins.remove(&(layer, link)) {
            self.targets.remove(&(from, link));
            self.waiting.remove(layer, link);
        }
    }

    /// A keyframe of `to` came: the next link that waited for it, and what it got till now.
    pub(super) fn pop(&mut self, to: u32) -> Option<(u32, u32)> {
        let link = self.waiting.any(to)?;
        let from = self.origins.get(&(to, link)).copied()?;
        self.forget(to, link);
        Some((from, link))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether a keyframe of the layer is waited for.
    pub(super) fn is_awaited(&self, to: u32) -> bool {
        self.waiting.count(to) > 0
    }

    /// Whether this link waits for a keyframe of the layer.
    pub(super) fn is_waiting(&self, to: u32, link: u32) -> bool {
        self.waiting.contains(to, link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_switch_from_the_same_layer_replaces_the_former() {
        let mut switches = Switches::new(8, 4);
        assert!(switches.insert(0, 1, 7));
        assert!(switches.insert(0, 2, 7));
        assert_eq!(switches.pop(1), None);
        assert_eq!(switches.pop(2), Some((0, 7)));
        assert!(!switches.is_awaited(2));
    }

    #[test]
    fn forgetting_either_layer_forgets_the_switch() {
        for layer in [0, 1] {
            let mut switches = Switches::new(8, 4);
            assert!(switches.insert(0, 1, 7));
            assert!(switches.insert(0, 1, 8));
            switches.forget(layer, 7);
            assert!(!switches.is_waiting(1, 7));
            assert_eq!(switches.pop(1), Some((0, 8)));
            assert_eq!(switches.pop(1), None);
        }
    }

    #[test]
    fn a_full_table_refuses_and_keeps_what_it_has() {
        let mut switches = Switches::new(8, 1);
        assert!(switches.insert(0, 1, 7));
        assert!(!switches.insert(0, 1, 8));
        assert!(switches.insert(0, 2, 7));
    }
}
