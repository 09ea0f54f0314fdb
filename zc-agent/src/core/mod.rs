//! Samples in, reports out. No clock, no I/O: the time is an argument, and the same samples at the
//! same times make the same reports.
//!
//! What a sample counts becomes a rate against the one before; what resources are used becomes
//! stress; what the daemon says, or does not say, becomes a state.

mod express;
mod headroom;
mod host;
mod rates;
mod router;
mod state;
mod stress;
#[cfg(test)]
mod tests;

pub use host::{HostSample, InterfaceSample};
pub use state::Health;
pub use stress::Thresholds;

use headroom::HeadroomGauge;
use host::HostView;
use router::RouterView;
use state::Watch;
use std::time::Duration;
use stress::StressGauge;
use wire::MmrId;
use wire::load::{Level, Report, State, VERSION};
use wire::stats::Stats;
use wire::zone::ControlPoint;

/// What every report says alike, and what reports are made with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whose.
    pub mmr: MmrId,
    /// Its zone.
    pub zone: String,
    /// What the certificate of its control channel is for; `None`: its first TLS address.
    pub name: Option<String>,
    /// When this agent started, Unix milliseconds.
    pub epoch_ms: u64,
    /// Shares that count as full.
    pub thresholds: Thresholds,
    /// Participants it is thought to carry, until that is measured.
    pub participants: u32,
}

/// The agent's mind.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    watch: Watch,
    host: HostView,
    router: RouterView,
    stress: StressGauge,
    headroom: HeadroomGauge,
    sequence: u64,
    /// State and level of the newest report.
    reported: Option<(State, Level)>,
}

impl Core {
    /// Knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            watch: Watch::new(),
            host: HostView::default(),
            router: RouterView::default(),
            stress: StressGauge::new(settings.thresholds),
            headroom: HeadroomGauge::new(settings.participants),
            sequence: 0,
            reported: None,
            settings,
        }
    }

    /// What the host counted. `at` grows from sample to sample.
    pub fn handle_host(&mut self, at: Duration, sample: HostSample) {
        self.host.handle(at, sample);
        self.gauge(at);
    }

    /// What the daemon counted.
    pub fn handle_stats(&mut self, stats: &Stats) {
        self.watch.handle_stats(stats);
        self.router.handle(stats);
    }

    /// Whether the daemon is well.
    pub fn handle_health(&mut self, at: Duration, health: Health) {
        let answers = matches!(health, Health::Well | Health::Stalled(_));
        self.watch.handle_health(at, health);
        if !answers {
            self.router.forget();
        }
    }

    /// The next report; `None` as long as nothing can be said about the host.
    pub fn poll_report(&mut self) -> Option<Report> {
        let (host, interval) = self.host.load()?;
        let (state, reason) = self.watch.state();
        self.sequence += 1;
        let stress = self.stress.stress();
        self.reported = Some((state, stress.level));
        let router = self.router.load(self.host.cores());
        let headroom = self.headroom.headroom(stress.value);
        Some(Report {
            v: VERSION,
            mmr: self.settings.mmr.clone(),
            zone: self.settings.zone.clone(),
            epoch_ms: self.settings.epoch_ms,
            sequence: self.sequence,
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            state,
            reason,
            control: self.control(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            stress,
            headroom,
            router,
            host: host.clone(),
            meeting_list: None,
        })
    }

    /// Whether the newest report is no longer true of what a controller acts on at once.
    pub fn is_urgent(&self) -> bool {
        self.reported.is_some_and(|told| told != (self.watch.state().0, self.stress.level()))
    }

    /// The ports whose sockets carry media.
    pub fn media_ports(&self) -> Vec<u16> {
        self.router.media_ports()
    }

    fn gauge(&mut self, at: Duration) {
        let Some((host, _)) = self.host.load() else { return };
        let router = self.router.load(self.host.cores());
        self.stress.handle(at, stress::uses(host, self.host.cores(), router.as_ref()));
        if let Some(router) = router {
            self.headroom.handle(at, router.epoch_ms, router.participants, &self.stress.all());
        }
    }

    fn control(&self) -> Option<ControlPoint> {
        let addresses = self.router.tls_addresses();
        let first = addresses.first()?.ip().to_string();
        let name = self.settings.name.clone().unwrap_or(first);
        Some(ControlPoint { name, addresses })
    }
}
