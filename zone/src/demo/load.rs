//! How loaded the MMRs were while the meetings played, as their agents told the controllers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use tokio::time::interval;
use wire::zone::MmrState;
use zone::Zone;

/// Agents report once a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The highest of each MMR's values.
#[derive(Default)]
pub(super) struct Peaks(BTreeMap<String, Peak>);

#[derive(Default)]
struct Peak {
    stress: f64,
    /// Which resource that was.
    resource: String,
    workers_stress: Vec<f64>,
    participants: u64,
}

impl Peaks {
    /// Looks at the zones for as long as `work` takes.
    pub(super) async fn during<T>(zones: &[Zone], work: impl Future<Output = T>) -> (T, Self) {
        let mut peaks = Self::default();
        let mut looks = interval(LOOK_INTERVAL);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return (done, peaks),
                _ = looks.tick() => zones.iter().for_each(|zone| {
                    zone.state().mmrs.iter().for_each(|mmr| peaks.note(zone.name(), mmr));
                }),
            }
        }
    }

    fn note(&mut self, zone: &str, mmr: &MmrState) {
        let peak = self.0.entry(format!("{zone}/{}", mmr.id)).or_default();
        if mmr.stress >= peak.stress {
            peak.stress = mmr.stress;
            peak.resource.clone_from(&mmr.resource);
        }
        peak.workers_stress.resize(mmr.workers_stress.len().max(peak.workers_stress.len()), 0.0);
        for (peak, now) in peak.workers_stress.iter_mut().zip(&mmr.workers_stress) {
            *peak = peak.max(*now);
        }
        peak.participants = peak.participants.max(mmr.participants);
    }

    /// A line per MMR.
    pub(super) fn render(&self) -> String {
        let mut text = String::from("load as reported to the controllers, at its highest:");
        for (id, peak) in &self.0 {
            let Peak { stress, resource, workers_stress, participants } = peak;
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n{id}: {participants} participants, stress {stress:.2} of 1 ({resource})"
            );
            for (worker, stress) in workers_stress.iter().enumerate() {
                let _ = write!(text, ", worker {worker}: {stress:.2}");
            }
        }
        text + "\n"
    }
}
