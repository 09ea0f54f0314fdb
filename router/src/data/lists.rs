//! Lists of links by layer, for every route there is: chunks of link indexes from one pool.
//!
//! A chunk is a cache line. Only a list's first chunk may be partly empty, so that walking a list touches as few
//! lines as can be; what is removed is replaced by the list's last entry.
//!
//! ```text
//!   heads[layer] ──▶ [3│ 17, 4, 99, ·, … ]──▶ [13│ …full… ]──▶ [13│ …full… ]
//! ```

use hashbrown::HashMap;

/// Link indexes in one chunk: with length and successor, 64 bytes.
const CHUNK: u32 = 14;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Chunk {
    links: [u32; CHUNK as usize],
    len: u32,
    next: u32,
}

/// The lists.
pub(super) struct Lists {
    heads: Box<[u32]>,
    counts: Box<[u32]>,
    chunks: Vec<Chunk>,
    free: u32,
    /// Where the entry of (list, link) is: chunk * CHUNK + place.
    places: HashMap<u64, u32>,
    entries_max: usize,
}

impl Lists {
    /// Takes memory for `lists` lists with `entries` entries in all.
    pub(super) fn new(lists: u32, entries: u32) -> Self {
        let chunks = (entries / CHUNK) as usize + lists.min(entries) as usize + 1;
        Self {
            heads: vec![NONE; lists as usize].into_boxed_slice(),
            counts: vec![0; lists as usize].into_boxed_slice(),
            chunks: Vec::with_capacity(chunks),
            free: NONE,
            places: HashMap::with_capacity(2 * entries as usize),
            entries_max: entries as usize,
        }
    }

    /// Adds a link; false when it is on the list already. Panics when there is no room: control keeps the limit.
    pub(super) fn insert(&mut self, list: u32, link: u32) -> bool {
        if self.contains(list, link) {
            return false;
        }
        assert!(self.places.len() < self.entries_max, "more routes than were configured");
        let mut head = self.heads[list as usize];
        if head == NONE || self.chunks[head as usize].len == CHUNK {
            let chunk = self.take_chunk(head);
            self.heads[list as usize] = chunk;
            head = chunk;
        }
        let chunk = &mut self.chunks[head as usize];
        chunk.links[chunk.len as usize] = link;
        self.places.insert(key(list, link), head * CHUNK + chunk.len);
        chunk.len += 1;
        self.counts[list as usize] += 1;
        true
    }

    /// Removes a link; false when it is not on the list.
    pub(super) fn remove(&mut self, list: u32, link: u32) -> bool {
        let Some(place) = self.places.remove(&key(list, link)) else { return false };
        let head = self.heads[list as usize];
        let first = &mut self.chunks[head as usize];
        first.len -= 1;
        let last = first.links[first.len as usize];
        if first.len == 0 {
            self.heads[list as usize] = self.give_chunk(head);
        }
        if last != link {
            self.chunks[(place / CHUNK) as usize].links[(place % CHUNK) as usize] = last;
            self.places.insert(key(list, last), place);
        }
        self.counts[list as usize] -= 1;
        true
    }

    /// Whether a link is on a list.
    pub(super) fn contains(&self, list: u32, link: u32) -> bool {
        self.places.contains_key(&key(list, link))
    }

    /// How many links are on a list.
    pub(super) fn count(&self, list: u32) -> u32 {
        self.counts[list as usize]
    }

    /// How many entries all lists have.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Some link of a list.
    pub(super) fn any(&self, list: u32) -> Option<u32> {
        self.slices(list).next().and_then(|links| links.first().copied())
    }

    /// The links of a list, a few at a time.
    pub(super) fn slices(&self, list: u32) -> impl Iterator<Item = &[u32]> {
        let mut at = self.heads[list as usize];
        std::iter::from_fn(move || {
            // `NONE` is no index: the list ends.
            let chunk = self.chunks.get(at as usize)?;
            at = chunk.next;
            Some(&chunk.links[..chunk.len as usize])
        })
    }

    fn take_chunk(&mut self, next: u32) -> u32 {
        let fresh = Chunk { links: [0; CHUNK as usize], len: 0, next };
        if self.free == NONE {
            assert!(self.chunks.len() < self.chunks.capacity(), "`new` counted too few chunks");
            self.chunks.push(fresh);
            return u32::try_from(self.chunks.len() - 1).expect("below ROUTES_MAX");
        }
        let taken = self.free;
        self.free = std::mem::replace(&mut self.chunks[taken as usize], fresh).next;
        taken
    }

    /// Puts an empty chunk back; answers its successor.
    fn give_chunk(&mut self, chunk: u32) -> u32 {
        std::mem::replace(
            &mut self.chunks[chunk as usize].next,
            std::mem::replace(&mut self.free, chunk),
        )
    }
}

fn key(list: u32, link: u32) -> u64 {
    u64::from(list) << 32 | u64::from(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn links(lists: &Lists, list: u32) -> BTreeSet<u32> {
        let all: Vec<u32> = lists.slices(list).flatten().copied().collect();
        let set: BTreeSet<u32> = all.iter().copied().collect();
        assert_eq!(all.len(), set.len(), "a link stands on a list once");
        set
    }

    #[test]
    fn a_full_pool_can_be_emptied_and_filled_again() {
        let mut lists = Lists::new(3, 100);
        for _ in 0..3 {
            (0..100).for_each(|entry| assert!(lists.insert(entry % 3, entry)));
            (0..100).for_each(|entry| assert!(lists.remove(entry % 3, entry)));
        }
        assert_eq!(lists.any(0), None);
    }

    proptest! {
        #[test]
        fn agrees_with_sets(
            steps in prop::collection::vec((any::<bool>(), 0u32..3, 0u32..60), 1..600),
        ) {
            let mut lists = Lists::new(3, 180);
            let mut model = [const { BTreeSet::new() }; 3];
            for (insert, list, link) in steps {
                let set = &mut model[list as usize];
                if insert {
                    prop_assert_eq!(lists.insert(list, link), set.insert(link));
                } else {
                    prop_assert_eq!(lists.remove(list, link), set.remove(&link));
                }
                prop_assert_eq!(lists.contains(list, link), insert);
                for (list, set) in (0..).zip(&model) {
                    prop_assert_eq!(&links(&lists, list), set);
                    prop_assert_eq!(lists.count(list) as usize, set.len());
                }
            }
        }
    }
}
