//! Picks one of the MMRs that are fit.

use super::mmr::Mmr;
use super::{Strategy, Why};
use rand::{Rng, rngs::StdRng};

/// How often two are drawn at random before all are looked at: with one MMR in five fit it fails
/// once in 35 times.
const DRAWS: usize = 16;

/// The index of an MMR for a new meeting.
///
/// Two choices at random leave the fullest of n MMRs about log log n above the mean, where one leaves
/// it log n / log log n above (Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing"), and, other than the least loaded of all, do not send everybody to the same one
/// between two reports.
pub(super) fn choose(
    strategy: Strategy,
    full: f64,
    mmrs: &[Mmr],
    fit: impl Fn(&Mmr) -> bool,
    rng: &mut StdRng,
) -> Result<usize, Why> {
    let stress = |at: usize| match strategy {
        Strategy::Corrected => mmrs[at].corrected(),
        _ => mmrs[at].load.stress,
    };
    let room = |at: usize| stress(at) + mmrs[at].cost() <= full;
    let usable = |at: &usize| fit(&mmrs[*at]) && room(*at);
    let least = |one: usize, other: usize| if stress(other) < stress(one) { other } else { one };
    if strategy != Strategy::LeastLoaded && !mmrs.is_empty() {
        let mut drawn = (0..DRAWS).map(|_| rng.random_range(0..mmrs.len())).filter(usable);
        let first = drawn.next();
        let second = match strategy {
            Strategy::Random => None,
            _ => first.and_then(|first| drawn.find(|at| *at != first)),
        };
        if let Some(first) = first {
            return Ok(second.map_or(first, |second| least(first, second)));
        }
    }
    let any_fit = mmrs.iter().any(&fit);
    let none = if any_fit { Why::ZoneFull } else { Why::NoMmr };
    (0..mmrs.len()).filter(usable).reduce(least).ok_or(none)
}
