//! The exchange with other controllers through the store, and housekeeping.

use super::Controller;
use crate::limits::{EXCHANGE_INTERVAL, FORGET_AFTER, STORE_PATIENCE};
use crate::placement::Others;
use crate::store::{Shared, Sighting, StoreError};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use wire::MmrId;

/// A question must have been asked in so many exchanges running: then the others have seen it and
/// answered, and the answer was seen.
const ASKED_EXCHANGES: usize = 3;

/// What was asked and answered so far.
#[derive(Default)]
struct Talk {
    /// What was wondered about in the last exchanges, newest last.
    asked: VecDeque<BTreeSet<MmrId>>,
    /// What the others wonder about.
    wondered: BTreeSet<MmrId>,
}

impl Controller {
    /// Exchanges with the others, until it is dropped.
    pub async fn exchange(&self) {
        let mut talk = Talk::default();
        let mut ticks = interval(EXCHANGE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forgot = Duration::ZERO;
        loop {
            ticks.tick().await;
            self.exchange_once(&mut talk).await;
            if self.now().saturating_sub(forgot) > FORGET_AFTER / 10 {
                forgot = self.now();
                self.forget();
            }
        }
    }

    async fn exchange_once(&self, talk: &mut Talk) {
        let own = self.sighting(talk);
        let late = |_| StoreError::Unreachable("no answer in time".into());
        let answer = timeout(STORE_PATIENCE, self.store.exchange(&own)).await;
        match answer.map_err(late).and_then(|answer| answer) {
            Ok(shared) => self.take_in(talk, own.wonders, shared),
            Err(error) => {
                *talk = Talk::default();
                self.counts.store_errors.inc();
                let mut state = self.state();
                if std::mem::take(&mut state.store_reachable) {
                    tracing::error!(%error, "no assignment can be agreed on until the store is back");
                }
            }
        }
    }

    fn sighting(&self, talk: &Talk) -> Sighting {
        let now = self.now();
        let state = self.state();
        let hears = talk.wondered.iter().filter(|mmr| state.placement.hears(mmr, now));
        Sighting {
            controller: self.name.clone(),
            wonders: state.placement.wonders(now),
            hears: hears.cloned().collect(),
        }
    }

    fn take_in(&self, talk: &mut Talk, wondered: BTreeSet<MmrId>, shared: Shared) {
        talk.asked.push_back(wondered);
        if talk.asked.len() > ASKED_EXCHANGES {
            talk.asked.pop_front();
        }
        let others = self.store.is_shared().then(|| Others {
            asked: talk.asked_long_enough(),
            hear: shared.others.iter().flat_map(|other| other.hears.iter().cloned()).collect(),
        });
        talk.wondered =
            shared.others.iter().flat_map(|other| other.wonders.iter().cloned()).collect();
        let mut state = self.state();
        state.placement.set_others(others);
        state.meetings = shared.meetings;
        state.orders = shared.orders;
        state.apply_orders();
        if !std::mem::replace(&mut state.store_reachable, true) {
            tracing::info!("the store can be reached");
            state.announced.ask_again();
        }
    }

    fn forget(&self) {
        let now = self.now();
        let mut state = self.state();
        state.placement.forget_lost(now);
        let left: BTreeSet<MmrId> = state.placement.mmrs(now).map(|mmr| mmr.id.clone()).collect();
        state.known.retain(|mmr, _| left.contains(mmr));
        state.announced.keep(&left);
    }
}

impl Talk {
    fn asked_long_enough(&self) -> BTreeSet<MmrId> {
        if self.asked.len() < ASKED_EXCHANGES {
            return BTreeSet::new();
        }
        let (first, rest) = self.asked.as_slices();
        let mut all = first.iter().chain(rest);
        let oldest = all.next().cloned().unwrap_or_default();
        all.fold(oldest, |common, asked| common.intersection(asked).cloned().collect())
    }
}
