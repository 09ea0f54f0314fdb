//! What one participant costs here, measured, and how many more there is room for.

use std::collections::BTreeMap;
use std::time::Duration;
use wire::load::Headroom;

/// Fewer tell nothing about the next one.
const PARTICIPANTS_LEAST: u64 = 10;
/// How long their number must have been the same, within a tenth: whoever just came has no media yet.
const STEADY_FOR: Duration = Duration::from_secs(5);
/// How much one sample weighs against what was measured before.
const WEIGHT: f64 = 0.1;
/// No participant is thought to cost less.
const COST_LEAST: f64 = 1e-6;

/// Learns the cost of a participant.
#[derive(Debug)]
pub(super) struct HeadroomGauge {
    /// In stress.
    cost: f64,
    measured: bool,
    /// The daemon's start, as its participants ended with it.
    epoch_ms: u64,
    /// Stress by resource when nobody was there.
    idle: BTreeMap<String, f64>,
    /// The number of participants, and since when it is about that.
    steady: (u64, Duration),
}

impl HeadroomGauge {
    /// With an estimate of how many participants are too many.
    pub(super) fn new(participants: u32) -> Self {
        Self {
            cost: 1.0 / f64::from(participants.max(1)),
            measured: false,
            epoch_ms: 0,
            idle: BTreeMap::new(),
            steady: (0, Duration::ZERO),
        }
    }

    pub(super) fn handle(
        &mut self,
        at: Duration,
        epoch_ms: u64,
        participants: u64,
        stress: &[(&str, f64)],
    ) {
        if std::mem::replace(&mut self.epoch_ms, epoch_ms) != epoch_ms {
            self.idle.clear();
        }
        let (about, since) = self.steady;
        if participants.abs_diff(about) > about / 10 {
            self.steady = (participants, at);
            return;
        }
        if at.saturating_sub(since) < STEADY_FOR {
            return;
        }
        if participants == 0 {
            self.idle = stress.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect();
        } else if participants >= PARTICIPANTS_LEAST {
            self.learn(participants, stress);
        }
    }

    pub(super) fn headroom(&self, stress: f64) -> Headroom {
        Headroom {
            participants: floor((1.0 - stress) / self.cost),
            stress_per_participant: self.cost,
            measured: self.measured,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "participants are far fewer than 2^53")]
    fn learn(&mut self, participants: u64, stress: &[(&str, f64)]) {
        let grown = stress.iter().filter_map(|(name, stress)| {
            // How much memory an idle host uses can't be guessed; of everything else it uses little.
            let idle = self.idle.get(*name).copied();
            let idle = if *name == "memory" { idle? } else { idle.unwrap_or(0.0) };
            Some(stress - idle)
        });
        let grown = grown.fold(0.0, f64::max);
        let cost = (grown / participants as f64).max(COST_LEAST);
        let weight = if self.measured { WEIGHT } else { 1.0 };
        self.cost += weight * (cost - self.cost);
        self.measured = true;
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative becomes zero, too large saturates"
)]
fn floor(participants: f64) -> u64 {
    participants as u64
}
