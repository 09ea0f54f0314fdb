//! The zone as operators and metrics see it.

use super::{Controller, State};
use crate::store::Wanted;
use std::time::Duration;
use wire::zone::{Drain, MmrState, ZoneState};

impl Controller {
    /// The zone as this controller sees it.
    pub fn zone_state(&self) -> ZoneState {
        let now = self.now();
        let state = self.state();
        let mut mmrs: Vec<_> = state.mmr_states(now).collect();
        mmrs.sort_by(|one, other| one.id.cmp(&other.id));
        ZoneState {
            zone: self.zone.clone(),
            controller: self.name.clone(),
            store_reachable: state.store_reachable,
            meetings: state.meetings,
            mmrs,
        }
    }

    /// Since this controller started.
    pub fn uptime(&self) -> Duration {
        self.now()
    }
}

impl State {
    fn mmr_states(&self, now: Duration) -> impl Iterator<Item = MmrState> {
        self.placement.mmrs(now).map(|mmr| {
            let known = self.known.get(mmr.id);
            let drain = self.orders.get(mmr.id).and_then(|order| match order.wanted {
                Wanted::Drain { until_s } => Some(Drain { until_s }),
                Wanted::Serve => None,
            });
            MmrState {
                id: mmr.id.clone(),
                unfit: mmr.unfit.map(|unfit| unfit.name().to_owned()),
                report_age_ms: u64::try_from(mmr.report_age.as_millis()).unwrap_or(u64::MAX),
                stress: mmr.load.stress,
                stress_corrected: mmr.stress_corrected,
                resource: known.map(|known| known.resource.clone()).unwrap_or_default(),
                workers_stress: known
                    .map(|known| known.workers_stress.iter().copied().map(f64::from).collect())
                    .unwrap_or_default(),
                meetings: known.map_or(0, |known| known.meetings),
                participants: mmr.load.participants,
                headroom: known.map_or(0, |known| known.headroom),
                version: known.map(|known| known.version.clone()).unwrap_or_default(),
                drain,
            }
        })
    }
}
