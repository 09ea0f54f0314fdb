//! Plays a burst of joins with dying hosts against the placement the server uses, once per strategy.
//!
//! Not a model of media or of the store: what is looked at is where people end up, and how full that
//! makes the MMRs. The same seed plays the same.

pub mod plot;
mod world;

use crate::placement::{Rules, Strategy};
use std::time::Duration;
use world::World;

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// MMRs; every second one is a host half as large.
    pub mmrs: usize,
    /// People who join.
    pub joins: usize,
    /// For how long they come, evenly.
    pub burst: Duration,
    /// People of a meeting, on average; sizes are drawn geometrically.
    pub meeting: f64,
    /// How full the MMRs are at the end, on average, if everybody gets in.
    pub fill: f64,
    /// MMRs that die during the burst, without a word.
    pub deaths: usize,
    /// How long it is played.
    pub length: Duration,
    /// Of everything random.
    pub seed: u64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            mmrs: 1_000,
            joins: 100_000,
            burst: Duration::from_secs(10),
            meeting: 8.0,
            fill: 0.6,
            deaths: 10,
            length: Duration::from_secs(30),
            seed: 1,
        }
    }
}

/// How it went with one strategy.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub strategy: Strategy,
    /// True load of the MMRs that live, through time.
    pub course: Vec<Sample>,
    /// True load of each MMR that lives, in the end, ascending.
    pub loads: Vec<f64>,
    /// People who have a place in the end.
    pub placed: usize,
    /// Times somebody was told to come back.
    pub refusals: usize,
    /// People whose MMR died.
    pub displaced: usize,
    /// From the death to the new place: of those who have one, the median and the longest.
    pub replaced_after: [Duration; 2],
}

/// True load at one moment: 1 is full.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the start.
    pub at: Duration,
    /// Over all MMRs that live.
    pub mean: f64,
    /// 99 of 100 have at most this.
    pub p99: f64,
    /// The fullest.
    pub most: f64,
    /// MMRs above 1.
    pub overloaded: usize,
}

/// Plays a scenario once per strategy.
pub fn compare(scenario: &Scenario) -> Vec<Outcome> {
    Strategy::ALL.map(|strategy| play(scenario, strategy)).into()
}

/// Plays a scenario.
pub fn play(scenario: &Scenario, strategy: Strategy) -> Outcome {
    World::new(scenario, Rules { strategy, ..Rules::default() }).play()
}

impl Outcome {
    /// The load that so many of all MMRs do not exceed, in the end.
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.loads, share)
    }

    /// Standard deviation of the load over the mean, in the end.
    pub fn spread(&self) -> f64 {
        let mean = mean(&self.loads);
        let squares = self.loads.iter().map(|load| (load - mean).powi(2)).collect::<Vec<_>>();
        self::mean(&squares).sqrt() / mean
    }

    /// The fullest an MMR ever was.
    pub fn peak(&self) -> f64 {
        self.course.iter().map(|sample| sample.most).fold(0.0, f64::max)
    }

    /// The most MMRs that were overloaded at once.
    pub fn overloaded(&self) -> usize {
        self.course.iter().map(|sample| sample.overloaded).max().unwrap_or(0)
    }
}

/// Of values in ascending order.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a length is an index"
)]
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let at = (share * ascending.len() as f64) as usize;
    ascending.get(at.min(ascending.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[allow(clippy::cast_precision_loss, reason = "counts here are small")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Scenario = Scenario {
        mmrs: 100,
        joins: 10_000,
        burst: Duration::from_secs(10),
        meeting: 8.0,
        fill: 0.6,
        deaths: 5,
        length: Duration::from_secs(30),
        seed: 7,
    };

    #[test]
    fn people_get_in_and_those_whose_mmr_dies_get_in_again() {
        let outcome = play(&SMALL, Strategy::Corrected);
        // A meeting that outgrows its MMR is full: nobody waits for that.
        assert!(outcome.placed >= SMALL.joins * 999 / 1_000, "{}", outcome.placed);
        assert_eq!(outcome.loads.len(), 95);
        assert!(outcome.displaced > 0);
        let [_, longest] = outcome.replaced_after;
        assert!(longest < Duration::from_secs(15), "{longest:?}");
    }

    #[test]
    fn corrected_stress_spreads_better_than_what_is_reported_and_overloads_nobody() {
        let outcomes = compare(&SMALL);
        let of = |strategy| outcomes.iter().find(|outcome| outcome.strategy == strategy);
        let [random, least, two, corrected] =
            Strategy::ALL.map(|strategy| of(strategy).map(Outcome::spread));
        assert!(corrected < random && corrected < least && corrected < two, "{outcomes:?}");
        assert_eq!(of(Strategy::Corrected).map(Outcome::overloaded), Some(0));
    }

    #[test]
    fn the_same_seed_plays_the_same() {
        let [one, other] = [(); 2].map(|()| play(&SMALL, Strategy::Corrected));
        assert_eq!((one.loads, one.refusals), (other.loads, other.refusals));
    }
}
