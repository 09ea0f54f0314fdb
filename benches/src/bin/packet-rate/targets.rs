//! The ratios this project holds itself to, and whether a run reached them.

use crate::results::{Results, Spread};
use serde::Serialize;

/// One target.
pub(crate) struct Target {
    /// As the table in docs/performance.md numbers them.
    number: &'static str,
    about: &'static str,
    /// Shape and contender.
    of: (&'static str, &'static str),
    to: Against,
    metric: &'static str,
    at_most: f64,
}

/// What a figure is held against.
enum Against {
    /// The same figure of this shape and contender.
    Ratio(&'static str, &'static str),
    /// Nothing: the figure itself.
    Absolute,
}

/// A target against a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) number: &'static str,
    pub(crate) about: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) at_most: f64,
    /// By the median.
    pub(crate) met: bool,
}

const fn ratio(
    number: &'static str,
    about: &'static str,
    of: (&'static str, &'static str),
    (shape, contender): (&'static str, &'static str),
    metric: &'static str,
    at_most: f64,
) -> Target {
    Target { number, about, of, to: Against::Ratio(shape, contender), metric, at_most }
}

/// In the order of their numbers. Costs are of the forwarding threads, which is what a contender decides, and the core's
/// stand in the tables; but where the kernel forwards, hardly a thread has a part in it: there it is what the core was
/// busier than before the contender came.
static TARGETS: [Target; 25] = [
    ratio(
        "1",
        "audio 1→50: uring to floor, CPU per datagram",
        ("audio-50", "uring"),
        ("audio-50", "floor"),
        "thread_ns",
        1.0,
    ),
    ratio(
        "1",
        "the same, the whole core",
        ("audio-50", "uring"),
        ("audio-50", "floor"),
        "core_ns",
        1.0,
    ),
    ratio(
        "2",
        "video 1→50, split: uring to floor-gso",
        ("video-50", "uring"),
        ("video-50", "floor-gso"),
        "thread_ns",
        1.05,
    ),
    ratio(
        "2",
        "video 1→50, split: uring to floor",
        ("video-50", "uring"),
        ("video-50", "floor"),
        "thread_ns",
        1.0,
    ),
    ratio(
        "2",
        "video 1→200, split: uring to floor-gso",
        ("video-200", "uring"),
        ("video-200", "floor-gso"),
        "thread_ns",
        1.05,
    ),
    ratio(
        "2",
        "video 1→200, split: uring to floor",
        ("video-200", "uring"),
        ("video-200", "floor"),
        "thread_ns",
        1.0,
    ),
    ratio(
        "2",
        "video 1→50, whole: uring to floor",
        ("video-50-whole", "uring"),
        ("video-50-whole", "floor"),
        "thread_ns",
        0.25,
    ),
    ratio(
        "2",
        "video 1→200, whole: uring to floor",
        ("video-200-whole", "uring"),
        ("video-200-whole", "floor"),
        "thread_ns",
        0.25,
    ),
    ratio(
        "3",
        "10,000 bound links to 100, uring",
        ("links-10000", "uring"),
        ("links-100", "uring"),
        "thread_ns",
        1.25,
    ),
    ratio(
        "4",
        "two workers to one, uring",
        ("worker-2", "uring"),
        ("worker-1", "uring"),
        "thread_ns",
        1.1,
    ),
    ratio(
        "5",
        "audio at half the floor's rate: uring's p99 to the floor's",
        ("audio-50", "uring"),
        ("audio-50", "floor"),
        "latency_half_of_floor_p99_us",
        1.2,
    ),
    ratio(
        "5",
        "video at half the floor's rate: uring's p99 to the floor's",
        ("video-50", "uring"),
        ("video-50", "floor"),
        "latency_half_of_floor_p99_us",
        1.2,
    ),
    ratio(
        "k1",
        "audio 1→50: express to floor, the core, less its rest",
        ("audio-50", "express"),
        ("audio-50", "floor"),
        "core_added_ns",
        0.45,
    ),
    ratio(
        "k1",
        "audio 1→200: express to floor, the core, less its rest",
        ("audio-200", "express"),
        ("audio-200", "floor"),
        "core_added_ns",
        0.45,
    ),
    ratio(
        "k2",
        "video 1→50, split: express to floor, the core, less its rest",
        ("video-50", "express"),
        ("video-50", "floor"),
        "core_added_ns",
        0.3,
    ),
    ratio(
        "k2",
        "video 1→200, split: express to floor, the core, less its rest",
        ("video-200", "express"),
        ("video-200", "floor"),
        "core_added_ns",
        0.3,
    ),
    ratio(
        "k3",
        "video 1→50, whole: express to floor, the core, less its rest",
        ("video-50-whole", "express"),
        ("video-50-whole", "floor"),
        "core_added_ns",
        0.1,
    ),
    ratio(
        "k3",
        "video 1→200, whole: express to floor, the core, less its rest",
        ("video-200-whole", "express"),
        ("video-200-whole", "floor"),
        "core_added_ns",
        0.1,
    ),
    ratio(
        "k4",
        "video at half the floor's rate: express's p99 to the floor's",
        ("video-50", "express"),
        ("video-50", "floor"),
        "latency_half_of_floor_p99_us",
        0.7,
    ),
    Target {
        number: "6",
        about: "overload, uring: audio that is lost",
        of: ("overload", "uring"),
        to: Against::Absolute,
        metric: "audio_loss",
        at_most: 0.01,
    },
    Target {
        number: "8",
        about: "audio 1→50, uring: allocations on the packet path",
        of: ("audio-50", "uring"),
        to: Against::Absolute,
        metric: "allocations",
        at_most: 0.0,
    },
    Target {
        number: "8",
        about: "video 1→50, uring: allocations on the packet path",
        of: ("video-50", "uring"),
        to: Against::Absolute,
        metric: "allocations",
        at_most: 0.0,
    },
    ratio(
        "–",
        "audio 1→50: uring to poll",
        ("audio-50", "uring"),
        ("audio-50", "poll"),
        "thread_ns",
        1.0,
    ),
    ratio(
        "–",
        "video 1→50, split: uring to poll",
        ("video-50", "uring"),
        ("video-50", "poll"),
        "thread_ns",
        1.0,
    ),
    ratio(
        "–",
        "video 1→50, whole: uring to poll",
        ("video-50-whole", "uring"),
        ("video-50-whole", "poll"),
        "thread_ns",
        1.0,
    ),
];

/// Every target this run has figures for.
pub(crate) fn verdicts(results: &Results) -> Vec<Verdict> {
    TARGETS.iter().filter_map(|target| target.verdict(results)).collect()
}

impl Target {
    fn verdict(&self, results: &Results) -> Option<Verdict> {
        let figure = match self.to {
            Against::Ratio(shape, contender) => {
                results.ratio(self.of, (shape, contender), self.metric)
            }
            Against::Absolute => results.spread(self.of.0, self.of.1, self.metric),
        };
        let Spread { min, median, max } = figure?;
        let Self { number, about, at_most, .. } = *self;
        Some(Verdict { number, about, median, min, max, at_most, met: median <= at_most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape;

    #[test]
    fn every_target_names_a_shape_there_is() {
        let shapes = shape::all();
        let is_one = |name: &str| shapes.iter().any(|shape| shape.name == name);
        for target in &TARGETS {
            assert!(is_one(target.of.0), "{}", target.about);
            if let Against::Ratio(shape, _) = target.to {
                assert!(is_one(shape), "{}", target.about);
            }
        }
    }

    #[test]
    fn a_target_is_judged_by_its_median() {
        let mut results = Results::default();
        for (round, cost) in [90.0, 99.0, 140.0].into_iter().enumerate() {
            results.note("audio-50", "uring", round, "thread_ns", cost);
            results.note("audio-50", "floor", round, "thread_ns", 100.0);
        }
        let verdicts = verdicts(&results);
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts[0].met && verdicts[0].max > 1.0);
    }
}
