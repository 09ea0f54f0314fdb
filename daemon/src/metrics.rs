//! Prometheus metrics as every daemon that serves HTTPS writes them (OpenMetrics text).

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use std::fmt;

/// The content type of [`scrape`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `encode` writes, each name with `prefix` in front.
///
/// # Errors
/// What `encode` fails with; a `String` takes everything.
pub fn scrape(
    prefix: &'static str,
    encode: impl Fn(&mut Out<'_, '_>) -> fmt::Result + Send + Sync + 'static,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { prefix, encode }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Scrape<F> {
    prefix: &'static str,
    encode: F,
}

impl<F> fmt::Debug for Scrape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl<F: Fn(&mut Out<'_, '_>) -> fmt::Result + Send + Sync + 'static> Collector for Scrape<F> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        (self.encode)(&mut Out { prefix: self.prefix, encoder: &mut encoder })
    }
}

/// Takes metrics.
pub struct Out<'a, 'b> {
    prefix: &'static str,
    encoder: &'a mut DescriptorEncoder<'b>,
}

impl Out<'_, '_> {
    /// One value.
    ///
    /// # Errors
    /// When it can't be written; so with all others.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.metric(name, help, &ConstGauge::new(value))
    }

    /// A value for each set of labels.
    ///
    /// # Errors
    /// As [`Out::gauge`].
    pub fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let name = format!("{}_{name}", self.prefix);
        let mut encoder = self.encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A metric that is kept.
    ///
    /// # Errors
    /// As [`Out::gauge`].
    pub fn metric<M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        metric: &M,
    ) -> fmt::Result {
        let name = format!("{}_{name}", self.prefix);
        let encoder = self.encoder.encode_descriptor(&name, help, None, M::TYPE)?;
        metric.encode(encoder)
    }
}

/// Counts above 2^53 lose their last digits; metrics are floats all the same.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}
