//! Figures by shape, contender, metric and round, and what they come to.

use serde::Serialize;
use std::collections::BTreeMap;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) shape: &'static str,
    pub(crate) contender: &'static str,
    /// With its unit last.
    pub(crate) metric: String,
    /// From 0.
    pub(crate) round: usize,
    pub(crate) value: f64,
}

/// Least, median, most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// A figure against another contender's, round by round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) shape: &'static str,
    pub(crate) contender: &'static str,
    /// The other one.
    pub(crate) to: &'static str,
    pub(crate) metric: String,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// A figure there is none of: something failed, or it would have been the load's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Refusal {
    pub(crate) shape: &'static str,
    pub(crate) contender: &'static str,
    pub(crate) round: usize,
    pub(crate) why: String,
}

/// All of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) samples: Vec<Sample>,
    pub(crate) refusals: Vec<Refusal>,
}

impl Results {
    /// Takes note.
    pub(crate) fn note(
        &mut self,
        shape: &'static str,
        contender: &'static str,
        round: usize,
        metric: &str,
        value: f64,
    ) {
        self.samples.push(Sample { shape, contender, metric: metric.to_owned(), round, value });
    }

    /// A figure's rounds: number and value, in order. One that was refused is missing.
    fn rounds(&self, shape: &str, contender: &str, metric: &str) -> Vec<(usize, f64)> {
        let is_it = |sample: &&Sample| {
            sample.shape == shape && sample.contender == contender && sample.metric == metric
        };
        self.samples.iter().filter(is_it).map(|sample| (sample.round, sample.value)).collect()
    }

    /// What a figure came to; `None` when it was not measured.
    pub(crate) fn spread(&self, shape: &str, contender: &str, metric: &str) -> Option<Spread> {
        spread(self.rounds(shape, contender, metric).into_iter().map(|(_, value)| value).collect())
    }

    /// One figure against another of the same round, whatever their shapes.
    pub(crate) fn ratio(
        &self,
        (shape, contender): (&str, &str),
        (to_shape, to): (&str, &str),
        metric: &str,
    ) -> Option<Spread> {
        let of = self.rounds(shape, contender, metric);
        let base = self.rounds(to_shape, to, metric);
        let against = |(round, value): (usize, f64)| {
            let (_, base) = base.iter().find(|(of, base)| *of == round && *base > 0.0)?;
            Some(value / base)
        };
        spread(of.into_iter().filter_map(against).collect())
    }

    /// Every figure against every other contender's of the same shape.
    pub(crate) fn ratios(&self) -> Vec<Ratio> {
        let mut all = BTreeMap::<(&'static str, &str), Vec<&'static str>>::new();
        for sample in &self.samples {
            let contenders = all.entry((sample.shape, &sample.metric)).or_default();
            if !contenders.contains(&sample.contender) {
                contenders.push(sample.contender);
            }
        }
        let mut ratios = Vec::new();
        for ((shape, metric), contenders) in all {
            for &contender in &contenders {
                for &to in contenders.iter().filter(|to| **to != contender) {
                    let ratio = self.ratio((shape, contender), (shape, to), metric);
                    let Some(Spread { min, median, max }) = ratio else { continue };
                    let metric = metric.to_owned();
                    ratios.push(Ratio { shape, contender, to, metric, median, min, max });
                }
            }
        }
        ratios
    }
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => return None,
        len if len % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    };
    Some(Spread { min: values[0], median, max: values[values.len() - 1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rounds: &[(&'static str, f64)]) -> Results {
        let mut results = Results::default();
        for (round, (contender, value)) in rounds.iter().enumerate() {
            results.note("shape", contender, round / 2, "cost_ns", *value);
        }
        results
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine got twice as slow for the second round, and the ratio does not show it.
        let results =
            results(&[("uring", 50.0), ("floor", 100.0), ("uring", 100.0), ("floor", 200.0)]);
        let ratio = results.ratio(("shape", "uring"), ("shape", "floor"), "cost_ns");
        assert_eq!(ratio, Some(Spread { min: 0.5, median: 0.5, max: 0.5 }));
        let both = results.ratios();
        assert_eq!(both.len(), 2);
        assert!(both.iter().any(|ratio| ratio.to == "uring" && (ratio.median - 2.0).abs() < 1e-9));
    }

    #[test]
    fn a_round_that_was_refused_is_left_out_of_ratios() {
        let mut results = results(&[("uring", 50.0), ("floor", 100.0), ("uring", 100.0)]);
        results.note("shape", "uring", 2, "cost_ns", 300.0);
        results.note("shape", "floor", 2, "cost_ns", 600.0);
        let ratio = results.ratio(("shape", "uring"), ("shape", "floor"), "cost_ns");
        assert_eq!(ratio, Some(Spread { min: 0.5, median: 0.5, max: 0.5 }));
    }

    #[test]
    fn a_figure_that_was_not_measured_has_no_spread() {
        assert_eq!(Results::default().spread("shape", "uring", "cost_ns"), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = spread(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
    }
}
