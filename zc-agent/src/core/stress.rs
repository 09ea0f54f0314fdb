//! How full the MMR is: of what is used, the share of what may be used; smoothed, with hysteresis.

use super::host::CoreLoad;
use super::rates::share;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::load::{HostLoad, Level, ResourceUse, RouterLoad, Stress};

/// What happened so long ago counts for a third.
const SMOOTHED_OVER: Duration = Duration::from_secs(2);
/// Another resource is named when it is fuller by this.
const CLEARLY_FULLER: f64 = 0.05;
/// A level is left downwards so far below where it is entered.
const HYSTERESIS: f64 = 0.1;
/// Where the levels begin.
const LEVELS: [(Level, f64); 2] = [(Level::Full, 1.0), (Level::High, 0.8)];

/// Shares of resources that count as full; a resource without one does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Of the busiest worker's time.
    pub worker: Option<f64>,
    /// Of the busiest worker core's time.
    pub core: Option<f64>,
    /// Of a network interface's speed.
    pub network: Option<f64>,
    /// Of the host's memory.
    pub memory: Option<f64>,
    /// Of the daemon's tables.
    pub tables: Option<f64>,
}

/// A resource and the share of it in use.
pub(super) type Use = (String, f64);

/// What of host and daemon is used. Without the daemon only what the host alone tells.
pub(super) fn uses(
    host: &HostLoad,
    cores: &BTreeMap<u32, CoreLoad>,
    router: Option<&RouterLoad>,
) -> Vec<Use> {
    let workers = router.map(|router| router.workers.as_slice()).unwrap_or_default();
    let largest = |shares: &mut dyn Iterator<Item = f64>| shares.reduce(f64::max);
    let pinned = &mut workers.iter().filter_map(|it| Some(cores.get(&it.core?)?.busy));
    let core = largest(pinned).unwrap_or(host.busy);
    let memory = host.memory;
    let taken = memory.total_bytes.saturating_sub(memory.available_bytes);
    let of_host = [
        ("worker", largest(&mut workers.iter().map(|it| it.busy))),
        ("core", Some(core)),
        ("network", largest(&mut host.interfaces.iter().filter_map(|it| it.used))),
        ("memory", Some(share(taken, memory.total_bytes))),
    ];
    let of_host = of_host.into_iter().filter_map(|(name, used)| Some((name.to_owned(), used?)));
    let tables = router.map(|router| router.capacity.as_slice()).unwrap_or_default();
    of_host.chain(tables.iter().map(|it| (it.table.clone(), share(it.used, it.size)))).collect()
}

/// Keeps what is smoothed, and what has hysteresis.
#[derive(Debug)]
pub(super) struct StressGauge {
    thresholds: Thresholds,
    resources: Vec<ResourceUse>,
    at: Duration,
    /// The one that is named.
    resource: String,
    level: Level,
}

impl StressGauge {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            resources: Vec::new(),
            at: Duration::ZERO,
            resource: "core".to_owned(),
            level: Level::Normal,
        }
    }

    pub(super) fn handle(&mut self, at: Duration, uses: Vec<Use>) {
        let passed = at.saturating_sub(self.at).as_secs_f64();
        let weight = 1.0 - (-passed / SMOOTHED_OVER.as_secs_f64()).exp();
        let before = std::mem::take(&mut self.resources);
        let smoothed = |name: &str, stress: f64| {
            let before = before.iter().find(|it| it.resource == name);
            before.map_or(stress, |before| before.stress + weight * (stress - before.stress))
        };
        self.resources = uses
            .into_iter()
            .filter_map(|(resource, used)| {
                let threshold = self.thresholds.of(&resource)?;
                let stress = smoothed(&resource, used / threshold);
                Some(ResourceUse { resource, used, threshold, stress })
            })
            .collect();
        self.at = at;
        self.name_the_fullest();
        self.level = level(self.level, self.value());
    }

    pub(super) fn stress(&self) -> Stress {
        Stress {
            value: self.value(),
            resource: self.resource.clone(),
            level: self.level,
            resources: self.resources.clone(),
        }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Each resource's.
    pub(super) fn all(&self) -> Vec<(&str, f64)> {
        self.resources.iter().map(|it| (it.resource.as_str(), it.stress)).collect()
    }

    fn value(&self) -> f64 {
        self.resources.iter().map(|it| it.stress).fold(0.0, f64::max)
    }

    fn name_the_fullest(&mut self) {
        let named = self.resources.iter().find(|it| it.resource == self.resource);
        let named = named.map_or(-1.0, |it| it.stress);
        let fullest = self.resources.iter().max_by(|a, b| a.stress.total_cmp(&b.stress));
        if let Some(fullest) = fullest.filter(|it| it.stress > named + CLEARLY_FULLER) {
            self.resource.clone_from(&fullest.resource);
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            worker: Some(0.8),
            core: Some(0.9),
            network: Some(0.8),
            memory: Some(0.9),
            tables: Some(0.9),
        }
    }
}

impl Thresholds {
    fn of(&self, resource: &str) -> Option<f64> {
        match resource {
            "worker" => self.worker,
            "core" => self.core,
            "network" => self.network,
            "memory" => self.memory,
            _ => self.tables,
        }
    }
}

/// The level of a stress that was at `before`.
fn level(before: Level, value: f64) -> Level {
    let held = |level, begins: f64| if before >= level { begins - HYSTERESIS } else { begins };
    let reached = LEVELS.iter().find(|(level, begins)| value >= held(*level, *begins));
    reached.map_or(Level::Normal, |(level, _)| *level)
}
