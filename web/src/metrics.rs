//! Prometheus metrics (OpenMetrics text). docs/metrics.md documents them, and a test compares.

use crate::lookup::Web;
use ::daemon::answer::code_name;
use ::daemon::metrics::{Out, as_f64};
use ::daemon::server::Connections;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::fmt;
use std::sync::Arc;
use wire::lookup::RefusalCode;

/// What happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    lookups: Family<[(&'static str, &'static str); 1], Counter>,
    settles: Family<[(&'static str, &'static str); 1], Counter>,
    meetings: Family<[(&'static str, &'static str); 1], Counter>,
    refusals: Family<[(&'static str, String); 1], Counter>,
    store_errors: Counter,
    pub(crate) connections: Connections,
}

impl Counts {
    pub(crate) fn looked_up(&self, outcome: &'static str) {
        self.lookups.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn settled(&self, outcome: &'static str) {
        self.settles.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn meetings(&self, what: &'static str) {
        self.meetings.get_or_create(&[("what", what)]).inc();
    }

    pub(crate) fn refused(&self, code: RefusalCode) {
        self.refusals.get_or_create(&[("code", code_name(&code))]).inc();
    }

    pub(crate) fn store_error(&self) {
        self.store_errors.inc();
    }

    fn encode(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        out.metric("lookups", "Lookups that were checked, by outcome", &self.lookups)?;
        out.metric(
            "settles",
            "Clients told which zone their meeting is in, by outcome",
            &self.settles,
        )?;
        out.metric("meetings", "Meetings created and ended", &self.meetings)?;
        out.metric("refusals", "Requests refused, by error code", &self.refusals)?;
        out.metric(
            "store_errors",
            "Times the database did not do what was asked",
            &self.store_errors,
        )?;
        self.connections.encode(out)
    }
}

/// All metrics now.
///
/// # Errors
/// None: a `String` takes everything.
pub(crate) fn scrape(web: Arc<Web>) -> Result<String, fmt::Error> {
    ::daemon::metrics::scrape("web", move |out| {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.gauges("build_info", "Always 1; the label tells the version", [(version, 1.0)])?;
        out.gauge("uptime_seconds", "Since start", web.uptime().as_secs_f64())?;
        let answering = web
            .zones
            .counts()
            .map(|(zone, count)| ([("zone", zone.to_owned())], as_f64(count as u64)));
        out.gauges(
            "controllers_answering",
            "Controllers that answered their last health check, by zone",
            answering,
        )?;
        web.counts.encode(out)
    })
}
