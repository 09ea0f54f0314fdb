//! What the kernel counted of each layer and each link. It counts by their places in the router's tables, since start;
//! here everybody has their own count from when they came, and the sums stay when they go.
//!
//! Reading a count takes a system call, so that some are read at a time, in turn: [`limits::COUNTED_AT_ONCE`].

use super::limits;
use super::program::Tally;
use router::{Event, Order, Path};
use std::collections::BTreeMap;
use wire::Kind;

/// The kernel's counts by place.
pub(super) trait Meters {
    fn layer_tally(&self, index: u32) -> Tally;
    fn link_tally(&self, index: u32) -> Tally;
}

/// Every layer's and every link's.
#[derive(Default)]
pub(super) struct Tallies {
    pub(super) layers: Ledger,
    /// Those that were bound over UDP.
    pub(super) links: Ledger,
    kinds: BTreeMap<u32, Kind>,
}

/// The counts of layers, or of links.
#[derive(Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<u32, Account>,
    sums: [Tally; 3],
    /// Whose turn it is to be read.
    next: u32,
}

/// One's own count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) index: u32,
    pub(super) kind: Kind,
    /// What the place had counted when it was taken.
    before: Tally,
    read: Tally,
    /// Between the last two times it was read.
    recent: Tally,
}

impl Tallies {
    pub(super) fn hear_order(&mut self, order: &Order, meters: &impl Meters) {
        match order {
            Order::AddLayer(spec) => {
                let index = spec.id.index;
                self.layers.open(index, spec.kind, meters.layer_tally(index));
            }
            Order::RemoveLayer(id) => {
                self.layers.close(id.index, |index| meters.layer_tally(index));
            }
            Order::AddLink(spec) => drop(self.kinds.insert(spec.id.index, spec.kind)),
            Order::RemoveLink(id) => {
                self.kinds.remove(&id.index);
                self.links.close(id.index, |index| meters.link_tally(index));
            }
            _ => {}
        }
    }

    pub(super) fn hear_event(&mut self, event: &Event, meters: &impl Meters) {
        let Event::Bound { link, path: Path::Udp { .. }, .. } = event else { return };
        if let Some(kind) = self.kinds.get(&link.index)
            && !self.links.accounts.contains_key(&link.index)
        {
            self.links.open(link.index, *kind, meters.link_tally(link.index));
        }
    }

    /// Reads those whose turn it is.
    pub(super) fn read(&mut self, meters: &impl Meters) {
        self.layers.read(|index| meters.layer_tally(index));
        self.links.read(|index| meters.link_tally(index));
    }
}

impl Ledger {
    /// Of all since start, by [`Kind::index`].
    pub(super) fn sums(&self) -> [Tally; 3] {
        self.sums
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The busiest, those first that lost packets.
    pub(super) fn top(&self) -> Vec<Account> {
        let mut all: Vec<&Account> = self.accounts.values().collect();
        let rank = |it: &&Account| std::cmp::Reverse((it.recent.lost, it.recent.packets));
        let shown = limits::TOP_SHOWN.min(all.len());
        if shown < all.len() {
            all.select_nth_unstable_by_key(shown, rank);
        }
        all.truncate(shown);
        all.sort_by_key(rank);
        all.into_iter().copied().collect()
    }

    fn open(&mut self, index: u32, kind: Kind, before: Tally) {
        let nothing = Tally::default();
        let account = Account { index, kind, before, read: before, recent: nothing };
        self.accounts.insert(index, account);
    }

    fn close(&mut self, index: u32, count: impl Fn(u32) -> Tally) {
        if let Some(mut account) = self.accounts.remove(&index) {
            account.take(count(index), &mut self.sums);
        }
    }

    fn read(&mut self, count: impl Fn(u32) -> Tally) {
        let mut left = limits::COUNTED_AT_ONCE;
        for (index, account) in self.accounts.range_mut(self.next..).take(left) {
            account.take(count(*index), &mut self.sums);
            self.next = index + 1;
            left -= 1;
        }
        if left > 0 {
            self.next = 0;
        }
    }
}

impl Account {
    /// Since it came.
    pub(super) fn tally(&self) -> Tally {
        self.read.since(self.before)
    }

    fn take(&mut self, now: Tally, sums: &mut [Tally; 3]) {
        self.recent = now.since(self.read);
        self.read = now;
        let sum = &mut sums[self.kind.index()];
        *sum = sum.plus(self.recent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::express::limits::COUNTED_AT_ONCE;
    use std::cell::Cell;

    fn packets(packets: u64) -> Tally {
        Tally { packets, bytes: 100 * packets, lost: packets / 10 }
    }

    #[test]
    fn a_place_that_is_given_away_again_starts_from_nothing_and_the_sum_keeps_all() {
        let mut ledger = Ledger::default();
        ledger.open(7, Kind::Audio, packets(0));
        ledger.read(|_| packets(40));
        ledger.close(7, |_| packets(50));
        ledger.open(7, Kind::Video, packets(50));
        ledger.read(|_| packets(80));
        let tallies: Vec<Tally> = ledger.accounts().map(Account::tally).collect();
        assert_eq!(tallies, [packets(30)]);
        assert_eq!(ledger.sums(), [packets(50), packets(30), packets(0)]);
    }

    #[test]
    fn everybody_gets_their_turn_and_no_round_reads_more_than_the_limit() {
        let mut ledger = Ledger::default();
        let count = u32::try_from(2 * COUNTED_AT_ONCE + 10).expect("small");
        (0..count).for_each(|index| ledger.open(index, Kind::Audio, packets(0)));
        let read = Cell::new(0);
        for _ in 0..4 {
            read.set(0);
            ledger.read(|_| {
                read.set(read.get() + 1);
                packets(10)
            });
            assert!(read.get() <= COUNTED_AT_ONCE);
        }
        assert_eq!(ledger.sums()[0].packets, u64::from(count) * 10);
    }

    #[test]
    fn the_top_are_those_that_lose_and_then_the_busiest_of_late() {
        let mut ledger = Ledger::default();
        (0..100).for_each(|index| ledger.open(index, Kind::Audio, packets(0)));
        ledger.read(|index| Tally { packets: 1_000 - u64::from(index), ..Tally::default() });
        ledger.read(|index| Tally {
            packets: 1_000 + u64::from(index),
            lost: u64::from(index == 3),
            ..Tally::default()
        });
        let top: Vec<u32> = ledger.top().iter().map(|account| account.index).take(3).collect();
        assert_eq!(top, [3, 99, 98]);
        assert_eq!(ledger.top().len(), limits::TOP_SHOWN);
    }
}
