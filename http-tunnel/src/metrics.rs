//! Prometheus metrics (OpenMetrics text). docs/metrics.md documents them, and a test compares.

use crate::relay::Carried;
use crate::site::Site;
use ::daemon::answer::code_name;
use ::daemon::keys::Fetches;
use ::daemon::metrics::{Out, as_f64};
use ::daemon::server::Connections;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::time::Duration;
use wire::tunnel::RefusalCode;

/// Upper bounds, in seconds.
const DURATIONS: [f64; 10] = [0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0];

/// What happened since the start.
#[derive(Debug)]
pub(crate) struct Counts {
    tunnels: Family<[(&'static str, String); 1], Gauge>,
    opened: Family<[(&'static str, String); 1], Counter>,
    ended: Family<[(&'static str, &'static str); 1], Counter>,
    refusals: Family<[(&'static str, String); 1], Counter>,
    connect_duration: Histogram,
    pub(crate) carried: Carried,
    fetches: Fetches,
    pub(crate) connections: Connections,
}

impl Counts {
    pub(crate) fn new(fetches: Fetches) -> Self {
        Self {
            tunnels: Family::default(),
            opened: Family::default(),
            ended: Family::default(),
            refusals: Family::default(),
            connect_duration: Histogram::new(DURATIONS),
            carried: Carried::default(),
            fetches,
            connections: Connections::default(),
        }
    }

    pub(crate) fn opened(&self, zone: &str) {
        self.opened.get_or_create(&[("zone", zone.to_owned())]).inc();
        self.tunnels.get_or_create(&[("zone", zone.to_owned())]).inc();
    }

    pub(crate) fn closed(&self, zone: &str) {
        self.tunnels.get_or_create(&[("zone", zone.to_owned())]).dec();
    }

    pub(crate) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn refused(&self, code: RefusalCode) {
        self.refusals.get_or_create(&[("code", code_name(&code))]).inc();
    }

    /// A target was reached.
    pub(crate) fn connected(&self, took: Duration) {
        self.connect_duration.observe(took.as_secs_f64());
    }

    fn encode(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        out.metric("tunnels", "Tunnels open, by zone", &self.tunnels)?;
        out.metric("tunnels_opened", "Tunnels opened, by zone", &self.opened)?;
        out.metric("tunnels_ended", "Tunnels ended, by reason", &self.ended)?;
        out.metric("refusals", "Requests refused, by error code", &self.refusals)?;
        out.metric(
            "connect_duration_seconds",
            "Until a target was reached, its name's resolution included",
            &self.connect_duration,
        )?;
        let Carried { to_zone, to_client } = &self.carried;
        out.metric("bytes_to_zone", "Bytes carried from clients to zones", to_zone)?;
        out.metric("bytes_to_client", "Bytes carried from zones to clients", to_client)?;
        self.fetches.encode(out)?;
        self.connections.encode(out)
    }
}

/// All metrics now.
///
/// # Errors
/// None: a `String` takes everything.
pub(crate) fn scrape(site: Site) -> Result<String, fmt::Error> {
    ::daemon::metrics::scrape("http_tunnel", move |out| {
        let shared = site.shared();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.gauges("build_info", "Always 1; the label tells the version", [(version, 1.0)])?;
        out.gauge("uptime_seconds", "Since start", shared.uptime().as_secs_f64())?;
        let draining = f64::from(u8::from(shared.is_draining()));
        out.gauge("draining", "1 while no new tunnels are opened", draining)?;
        let participants = as_f64(shared.participants() as u64);
        out.gauge("participants", "Participants whose use is counted", participants)?;
        shared.counts.encode(out)
    })
}
