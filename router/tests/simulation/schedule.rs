//! What happens when: simulated time. What is due at the same instant happens in the order it was scheduled.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

pub struct Schedule<T> {
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    items: BTreeMap<u64, T>,
    scheduled: u64,
}

impl<T> Schedule<T> {
    pub fn new() -> Self {
        Self { due: BinaryHeap::new(), items: BTreeMap::new(), scheduled: 0 }
    }

    pub fn add(&mut self, at: Instant, item: T) {
        self.due.push(Reverse((at, self.scheduled)));
        self.items.insert(self.scheduled, item);
        self.scheduled += 1;
    }

    /// The next item due until `end`.
    pub fn next(&mut self, end: Instant) -> Option<(Instant, T)> {
        let &Reverse((at, number)) = self.due.peek()?;
        if at > end {
            return None;
        }
        self.due.pop();
        Some((at, self.items.remove(&number).unwrap()))
    }
}
