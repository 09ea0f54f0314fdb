//! Prometheus metrics (OpenMetrics text). docs/metrics.md documents them, and a test compares.

use crate::controller::Controller;
use ::daemon::keys::Fetches;
use ::daemon::metrics::{Out, as_f64};
use ::daemon::server::Connections;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wire::zone::{RefusalCode, ZoneState};

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
    pub(crate) fetches: Fetches,
    pub(crate) connections: Connections,
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
            fetches: Fetches::default(),
            connections: Connections::default(),
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
    let scrape = Scrape { zone: controller.zone_state(), controller };
    ::daemon::metrics::scrape("zone_controller", move |out| scrape.encode(out))
}

struct Scrape {
    controller: Arc<Controller>,
    zone: ZoneState,
}

impl Scrape {
    fn encode(&self, out: &mut Out<'_, '_>) -> fmt::Result {
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
        controller.counts.encode(out)
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
        self.fetches.encode(out)?;
        self.connections.encode(out)
    }
}
