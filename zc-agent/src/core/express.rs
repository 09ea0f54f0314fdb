//! What the kernel replicates without a worker: its counts since the daemon's start become rates.

use super::rates::losses_per_s;
use super::router::{flows, sum};
use wire::Kind;
use wire::load::{ExpressLatency, ExpressLoad, Flow};
use wire::stats::ExpressStats;

/// Copies that did not leave, by the daemon's names. Packets that it leaves to the workers, or that are over their rate,
/// are none.
const LOSSES: [&str; 2] = ["device_refused", "no_memory"];

/// The express plane as it was last seen, and what that says against the look before.
#[derive(Debug)]
pub(super) struct ExpressView {
    newest: ExpressStats,
    sent: [Flow; 3],
    lost: u64,
}

impl ExpressView {
    /// The next look; `None` while it is off.
    pub(super) fn next(before: Option<Self>, now: &ExpressStats) -> Option<Self> {
        if !now.on {
            return None;
        }
        let nothing = Self { newest: now.clone(), sent: [Flow::default(); 3], lost: 0 };
        let Some(before) = before else { return Some(nothing) };
        let passed_ms = now.taken_ms.saturating_sub(before.newest.taken_ms);
        match u32::try_from(passed_ms) {
            Ok(0) => Some(before),
            Ok(passed_ms) => {
                let seconds = f64::from(passed_ms) / 1e3;
                let sent = flows(&before.newest.sent, &now.sent, seconds);
                let lost = losses_per_s(losses(&before.newest), losses(now), seconds);
                Some(Self { sent, lost, ..nothing })
            }
            Err(_) => Some(nothing),
        }
    }

    pub(super) fn sent(&self, kind: Kind) -> Flow {
        self.sent[kind.index()]
    }

    pub(super) fn load(&self) -> ExpressLoad {
        let latency = self.newest.latency_recent_ns;
        ExpressLoad {
            layers: self.newest.layers,
            routes: self.newest.routes,
            sent: sum(self.sent.into_iter()),
            lost_per_s: self.lost,
            latency: ExpressLatency {
                count: latency.count,
                p50_ns: latency.p50,
                p99_ns: latency.p99,
            },
        }
    }
}

fn losses(stats: &ExpressStats) -> u64 {
    let lost = LOSSES.iter().filter_map(|reason| stats.outcomes.get(*reason).copied());
    lost.fold(0, u64::saturating_add)
}
