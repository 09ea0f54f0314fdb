//! Prometheus metrics (OpenMetrics text). docs/metrics.md documents them, and a test compares.

use crate::controller::Controller;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wire::zone::{RefusalCode, ZoneState};

/// The content type of [`scrape`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds, in seconds.
const DURATIONS: [f64; 12] =
    [0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// What happened since the start.
#[derive(Debug)]
pub struct Counts {
    pub(crate) reports: Reports,
    placements: Family<[(&'static str, &'static str); 1], Counter>,
    refusals: Family<[(&'static str, String); 1], Counter>,
    pub(crate) failed_hints: Counter,
    pub(crate) store_errors: Counter,
    assign_duration: Histogram,
    /// Connections that were turned away.
    pub(crate) connections_refused: Family<[(&'static str, &'static str); 1], Counter>,
    pub(crate) connections: prometheus_client::metrics::gauge::Gauge,
}

/// What became of load reports.
#[derive(Debug, Default)]
pub(crate) struct Reports(Family<[(&'static str, &'static str); 1], Counter>);

impl Reports {
    pub(crate) fn taken(&self) {
        self.count("taken");
    }
    pub(crate) fn old(&self) {
        self.count("old");
    }
    pub(crate) fn refused(&self) {
        self.count("refused");
    }
    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&[("outcome", outcome)]).inc();
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            reports: Reports::default(),
            placements: Family::default(),
            refusals: Family::default(),
            failed_hints: Counter::default(),
            store_errors: Counter::default(),
            assign_duration: Histogram::new(DURATIONS),
            connections_refused: Family::default(),
            connections: Default::default(),
        }
    }
}

impl Counts {
    /// An assignment was made: of a meeting that had a place, and stays there.
    pub(crate) fn placed(&self, had_a_place: bool, stays: bool) {
        let outcome = match (had_a_place, stays) {
            (_, true) => "stayed",
            (true, false) => "moved",
            (false, false) => "new",
        };
        self.placements.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A request was refused.
    pub(crate) fn refused(&self, code: RefusalCode) {
        self.refusals.get_or_create(&[("code", name(code))]).inc();
    }

    /// An assignment was answered, whatever with.
    pub(crate) fn assign_took(&self, duration: Duration) {
        self.assign_duration.observe(duration.as_secs_f64());
    }
}

fn name(code: RefusalCode) -> String {
    let text = serde_json::to_value(code).ok();
    text.as_ref().and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

/// All metrics now.
///
/// # Errors
/// None: a `String` takes everything.
pub(crate) fn scrape(controller: Arc<Controller>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let zone = controller.zone_state();
    registry.register_collector(Box::new(Scrape { controller, zone }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Scrape {
    controller: Arc<Controller>,
    zone: ZoneState,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(&mut encoder);
        let Self { controller, zone } = self;
        let labels = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("zone", zone.zone.clone()),
            ("controller", zone.controller.clone()),
        ];
        out.gauges(
            "build_info",
            "Always 1; the labels tell version, zone and controller",
            [(labels, 1.0)],
        )?;
        out.gauge("uptime_seconds", "Since start", controller.uptime().as_secs_f64())?;
        out.gauge(
            "store_reachable",
            "1 while assignments can be agreed on",
            f64::from(u8::from(zone.store_reachable)),
        )?;
        out.gauge("meetings", "Meetings that have a place", as_f64(zone.meetings))?;
        let drains = zone.mmrs.iter().filter(|mmr| mmr.drain.is_some()).count();
        out.gauge("drains", "MMRs that operators want drained", as_f64(drains as u64))?;
        out.gauges(
            "mmrs",
            "MMRs that have reported, by why they take no meetings: fit ones do",
            fitness(zone),
        )?;
        let of_each = |value: fn(&wire::zone::MmrState) -> f64| {
            zone.mmrs.iter().map(move |mmr| ([("mmr", mmr.id.to_string())], value(mmr)))
        };
        out.gauges(
            "mmr_stress",
            "Stress of each MMR as reported: 1 is full",
            of_each(|mmr| mmr.stress),
        )?;
        out.gauges(
            "mmr_stress_corrected",
            "The same with what was placed and can't show in the report yet",
            of_each(|mmr| mmr.stress_corrected),
        )?;
        controller.counts.encode(&mut out)
    }
}

fn fitness(zone: &ZoneState) -> impl Iterator<Item = ([(&'static str, String); 1], f64)> {
    let mut counts = BTreeMap::from([("fit".to_owned(), 0)]);
    for mmr in &zone.mmrs {
        *counts.entry(mmr.unfit.clone().unwrap_or_else(|| "fit".to_owned())).or_insert(0) += 1;
    }
    counts.into_iter().map(|(fitness, count)| ([("fitness", fitness)], as_f64(count)))
}

impl Counts {
    fn encode(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        out.metric("placements", "Assignments made: new, stayed, moved", &self.placements)?;
        out.metric("refusals", "Requests refused, by error code", &self.refusals)?;
        out.metric("reports", "Load reports: taken, old, refused", &self.reports.0)?;
        out.metric(
            "failed_hints",
            "Clients that said they could not use the MMR they were sent to",
            &self.failed_hints,
        )?;
        out.metric(
            "store_errors",
            "Times the store did not do what was asked",
            &self.store_errors,
        )?;
        out.metric(
            "assign_duration_seconds",
            "From an assign that was read to its answer",
            &self.assign_duration,
        )?;
        out.metric("connections", "Connections open", &self.connections)?;
        out.metric(
            "connections_refused",
            "Connections that were turned away, by reason",
            &self.connections_refused,
        )
    }
}

struct Out<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Out<'_, '_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.metric(name, help, &ConstGauge::new(value))
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let name = format!("zone_controller_{name}");
        let mut encoder = self.0.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric<M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        metric: &M,
    ) -> fmt::Result {
        let name = format!("zone_controller_{name}");
        let encoder = self.0.encode_descriptor(&name, help, None, M::TYPE)?;
        metric.encode(encoder)
    }
}

/// Counts above 2^53 lose their last digits; metrics are floats all the same.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
