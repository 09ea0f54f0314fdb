//! What the plane did and has, at one moment, for stats and metrics.

use super::plane::{Extent, Plane};
use super::program::{Outcome, Program, Tally};
use super::tallies::{Account, Tallies};
use hdrhistogram::Histogram;
use wire::{Kind, Ssrc};

/// What the plane did and has.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) extent: Extent,
    /// By [`Outcome::ALL`].
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    /// Copies sent, by [`Kind::index`].
    pub(crate) sent: [Tally; 3],
    /// What every layer counted, by kind.
    pub(crate) layers: [Tally; 3],
    /// What every link counted, by kind.
    pub(crate) links: [Tally; 3],
    /// The busiest.
    pub(crate) top: Each,
    /// From when the program looked at a packet to when its last copy was with its device, to a factor of 2.
    pub(crate) latency_ns: Histogram<u64>,
    /// The same of the last second.
    pub(crate) latency_recent_ns: Histogram<u64>,
}

/// Layers and links, each with its own counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Each {
    pub(crate) layers: Vec<LayerCount>,
    pub(crate) links: Vec<LinkCount>,
}

/// A layer, since it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerCount {
    pub(crate) index: u32,
    pub(crate) ssrc: Ssrc,
    pub(crate) kind: Kind,
    /// That the kernel serves now.
    pub(crate) destinations: u64,
    /// `lost` are those over its rate.
    pub(crate) tally: Tally,
}

/// A link, since it was first bound over UDP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkCount {
    pub(crate) index: u32,
    pub(crate) kind: Kind,
    /// `lost` are those its device refused.
    pub(crate) tally: Tally,
}

/// What is counted over time.
pub(super) struct Counting {
    pub(super) tallies: Tallies,
    latency: [u64; 32],
    latency_recent: [u64; 32],
}

impl Counting {
    pub(super) fn new() -> Self {
        Self { tallies: Tallies::default(), latency: [0; 32], latency_recent: [0; 32] }
    }

    /// Once a second.
    pub(super) fn read(&mut self, program: &Program) {
        self.tallies.read(program);
        let now = program.waits();
        let since = |bits: usize| now[bits].saturating_sub(self.latency[bits]);
        self.latency_recent = std::array::from_fn(since);
        self.latency = now;
    }

    pub(super) fn counts(&self, plane: &Plane, program: &Program) -> Counts {
        let Tallies { layers, links, .. } = &self.tallies;
        Counts {
            extent: plane.extent(),
            outcomes: program.outcomes(),
            sent: program.sent(),
            layers: layers.sums(),
            links: links.sums(),
            top: each(plane, layers.top().iter(), links.top().iter()),
            latency_ns: spread(&program.waits()),
            latency_recent_ns: spread(&self.latency_recent),
        }
    }

    pub(super) fn each(&self, plane: &Plane) -> Each {
        each(plane, self.tallies.layers.accounts(), self.tallies.links.accounts())
    }
}

fn each<'a>(
    plane: &Plane,
    layers: impl Iterator<Item = &'a Account>,
    links: impl Iterator<Item = &'a Account>,
) -> Each {
    let layer = |account: &Account| {
        let (ssrc, destinations) = plane.layer(account.index)?;
        let Account { index, kind, .. } = *account;
        Some(LayerCount { index, ssrc, kind, destinations, tally: account.tally() })
    };
    let link = |account: &Account| {
        let Account { index, kind, .. } = *account;
        LinkCount { index, kind, tally: account.tally() }
    };
    Each { layers: layers.filter_map(layer).collect(), links: links.map(link).collect() }
}

/// From counts by the number of bits.
fn spread(counts: &[u64; 32]) -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_bounds(1, 1 << 32, 2).expect("the bounds are constants that fit");
    for (bits, count) in (0..).zip(counts) {
        // The middle of 2^bits and 2^(bits + 1), which lies within the bounds.
        let _ = histogram.record_n((3 << bits) / 2, *count);
    }
    histogram
}
