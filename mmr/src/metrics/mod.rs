//! Prometheus metrics (OpenMetrics text), summed from the workers' reports at each scrape: nothing
//! is shared with the data plane. [`families`] lists them all, docs/metrics.md documents them, and
//! a test compares the two.

mod families;

use crate::about::About;
use crate::control::Snapshot;
use families::FAMILIES;
use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

/// The content type of [`scrape`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics at the moment of the snapshot.
///
/// # Errors
/// None: a `String` takes everything.
pub(crate) fn scrape(about: Arc<About>, snapshot: Box<Snapshot>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { about, snapshot }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// What one scrape tells.
#[derive(Debug)]
struct Scrape {
    about: Arc<About>,
    snapshot: Box<Snapshot>,
}

/// A metric and where its samples come from.
struct Family {
    /// Without `mmr_` and without the suffix of counters.
    name: &'static str,
    help: &'static str,
    metric_type: MetricType,
    samples: fn(&Scrape) -> Vec<Sample>,
}

struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

enum Value {
    Integer(u64),
    Float(f64),
    /// Sum, count, and how many fell into each bucket up to its upper bound.
    Buckets(f64, u64, Vec<(f64, u64)>),
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in FAMILIES {
            let name = format!("mmr_{}", family.name);
            let mut metric =
                encoder.encode_descriptor(&name, family.help, None, family.metric_type)?;
            for sample in (family.samples)(self) {
                encode_sample(&mut metric, family.metric_type, &sample)?;
            }
        }
        Ok(())
    }
}

fn encode_sample(
    metric: &mut MetricEncoder<'_>,
    metric_type: MetricType,
    sample: &Sample,
) -> fmt::Result {
    if sample.labels.is_empty() {
        return encode_value(metric, metric_type, &sample.value);
    }
    let labels = sample.labels.as_slice();
    encode_value(&mut metric.encode_family(&labels)?, metric_type, &sample.value)
}

fn encode_value(
    metric: &mut MetricEncoder<'_>,
    metric_type: MetricType,
    value: &Value,
) -> fmt::Result {
    match (metric_type, value) {
        (MetricType::Counter, Value::Integer(count)) => {
            metric.encode_counter::<NoLabelSet, _, u64>(count, None)
        }
        (MetricType::Counter, Value::Float(count)) => {
            metric.encode_counter::<NoLabelSet, _, u64>(count, None)
        }
        (_, Value::Integer(value)) => metric.encode_gauge(value),
        (_, Value::Float(value)) => metric.encode_gauge(value),
        (_, Value::Buckets(sum, count, buckets)) => {
            metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
        }
    }
}

/// A histogram of whole numbers as buckets whose bounds are multiplied by `unit`.
fn buckets(histogram: &Histogram<u64>, bounds: &[u64], unit: f64) -> Value {
    let mut counts = Vec::with_capacity(bounds.len() + 1);
    let mut least = 0;
    for bound in bounds {
        counts.push((as_f64(*bound) * unit, histogram.count_between(least, *bound)));
        least = bound + 1;
    }
    let counted: u64 = counts.iter().map(|(_, count)| count).sum();
    // A value within a bound's own step of precision may count below it and above it.
    counts.push((f64::INFINITY, histogram.len().saturating_sub(counted)));
    let count = counts.iter().map(|(_, count)| count).sum();
    Value::Buckets(histogram.mean() * as_f64(histogram.len()) * unit, count, counts)
}

/// Counts above 2^53 lose their last digits; metrics are floats all the same.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_falls_into_one_bucket() {
        let mut histogram = Histogram::new_with_bounds(1, 10_000_000, 2).expect("bounds fit");
        for value in [1, 9, 10, 11, 99, 100, 250, 1_000_000] {
            histogram.record(value).expect("within bounds");
        }
        let Value::Buckets(sum, count, buckets) = buckets(&histogram, &[10, 100, 200], 1e-6) else {
            panic!("buckets answers buckets");
        };
        assert_eq!(count, 8);
        assert!((sum - 1.00048).abs() < 0.01, "{sum}");
        let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [3, 3, 0, 2]);
    }
}
