//! One MMR: what it last said of itself, and what was placed on it since.

use super::{Heard, Rules};
use ::daemon::pace::Bucket;
use std::collections::VecDeque;
use std::time::Duration;
use wire::MmrId;
use wire::load::{Report, State};

/// What a report says, as far as placement cares.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Of two reports the one with the larger is the newer: (epoch, sequence).
    pub order: (u64, u64),
    /// Whether it takes newcomers.
    pub state: State,
    /// 1.0 is full.
    pub stress: f64,
    /// What one participant adds to stress.
    pub stress_per_participant: f64,
    /// Whether clients can be told where to go.
    pub has_address: bool,
    /// Links that are bound, and links given out that are not.
    pub links: [u64; 2],
    /// Participants it has.
    pub participants: u64,
}

impl From<&Report> for Load {
    fn from(report: &Report) -> Self {
        let router = report.router.as_ref();
        let kinds = router.map(|router| router.kinds).unwrap_or_default();
        let kinds = [kinds.audio, kinds.video, kinds.content];
        Self {
            order: (report.epoch_ms, report.sequence),
            state: report.state,
            stress: report.stress.value,
            stress_per_participant: report.headroom.stress_per_participant,
            has_address: report.control.is_some(),
            links: [
                kinds.iter().map(|kind| kind.links).sum(),
                kinds.iter().map(|kind| kind.links_waiting).sum(),
            ],
            participants: router.map_or(0, |router| router.participants),
        }
    }
}

/// Why newcomers are not sent to an MMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// Not heard of for too long.
    Stale,
    /// Not up yet.
    Starting,
    /// Going down.
    Stopping,
    /// It does not get on.
    Stalled,
    /// It, or an operator, turns newcomers away.
    Draining,
    /// It does not say where clients can reach it.
    NoAddress,
    /// Most of its links are not bound: clients can't reach its media ports.
    MediaUnreachable,
}

impl Unfit {
    /// The name on the wire and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Stalled => "stalled",
            Self::Draining => "draining",
            Self::NoAddress => "no_address",
            Self::MediaUnreachable => "media_unreachable",
        }
    }
}

/// Fewer links than these that wait to be bound say nothing.
const LINKS_WAITING_MIN: u64 = 20;
/// So many reports in a row must say it: links of those who just came wait, too.
const REPORTS_UNREACHABLE: u8 = 3;
/// Placements are counted together for so long: memory stays bounded.
const SLOT: Duration = Duration::from_millis(100);
/// From the answer to a participant whose load can be measured.
const ARRIVAL: Duration = Duration::from_millis(500);
/// After so many times `settle` a report shows 98 of 100.
const SETTLES: u32 = 4;
/// What a participant costs at least, so that placements always count: 100,000 on one host.
const COST_MIN: f64 = 1e-5;

pub(super) struct Mmr {
    pub(super) id: MmrId,
    pub(super) load: Load,
    reported: Duration,
    /// Since when it has been in its state.
    state_since: Duration,
    /// Reports in a row that said that most links wait.
    unreachable: u8,
    /// (when, how many), oldest first.
    placed: VecDeque<(Duration, u32)>,
    /// How many of them the report does not show.
    unseen: f64,
    pace: Bucket,
}

impl Mmr {
    pub(super) fn new(id: MmrId, load: Load, rules: &Rules, now: Duration) -> Self {
        let mut mmr = Self {
            id,
            load: Load { order: (0, 0), ..load.clone() },
            reported: now,
            state_since: now,
            unreachable: 0,
            placed: VecDeque::new(),
            unseen: 0.0,
            pace: Bucket::default(),
        };
        mmr.report(load, rules, now);
        mmr
    }

    pub(super) fn report(&mut self, load: Load, rules: &Rules, now: Duration) -> Heard {
        // A clock that was set back must not silence an MMR for good.
        if load.order <= self.load.order && self.silent_for(now) <= rules.stale {
            return Heard::Old;
        }
        let [bound, waiting] = load.links;
        let unreachable = waiting >= LINKS_WAITING_MIN && waiting > bound;
        self.unreachable = if unreachable { self.unreachable.saturating_add(1) } else { 0 };
        if load.state != self.load.state {
            self.state_since = now;
        }
        self.load = load;
        self.reported = now;
        let shown = now.saturating_sub(ARRIVAL + rules.settle * SETTLES);
        while self.placed.pop_front_if(|(when, _)| *when < shown).is_some() {}
        self.weigh(rules);
        Heard::Taken
    }

    /// One more participant is on its way, or how long to wait with it.
    pub(super) fn take(&mut self, rules: &Rules, now: Duration) -> Result<(), Duration> {
        self.pace.take(rules.mmr_pace, now)?;
        self.unseen += 1.0;
        match self.placed.back_mut() {
            Some((when, count)) if now.saturating_sub(*when) < SLOT => *count += 1,
            _ => self.placed.push_back((now, 1)),
        }
        Ok(())
    }

    /// The last one that was taken does not come.
    pub(super) fn give_back(&mut self, rules: &Rules) {
        let Some((_, count)) = self.placed.back_mut() else { return };
        *count -= 1;
        if *count == 0 {
            self.placed.pop_back();
        }
        self.weigh(rules);
    }

    pub(super) fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.reported)
    }

    pub(super) fn in_state_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.state_since)
    }

    /// What one participant adds to stress.
    pub(super) fn cost(&self) -> f64 {
        self.load.stress_per_participant.max(COST_MIN)
    }

    /// Stress with what was placed and can't show in the report yet.
    pub(super) fn corrected(&self) -> f64 {
        self.load.stress + self.unseen * self.cost()
    }

    pub(super) fn has_room(&self, full: f64) -> bool {
        self.corrected() + self.cost() <= full
    }

    /// Reports show what was placed little by little, since agents smooth stress: what a report leaves
    /// out is added.
    fn weigh(&mut self, rules: &Rules) {
        let settle = rules.settle.as_secs_f64();
        let unseen = |when: Duration| {
            let shown_for = self.reported.saturating_sub(when + ARRIVAL).as_secs_f64();
            if shown_for <= 0.0 { 1.0 } else { (-shown_for / settle).exp() }
        };
        self.unseen =
            self.placed.iter().map(|(when, count)| unseen(*when) * f64::from(*count)).sum();
    }

    /// Whether newcomers may be sent there, as far as it says itself.
    pub(super) fn fitness(&self, rules: &Rules, now: Duration) -> Result<(), Unfit> {
        match self.load.state {
            _ if self.silent_for(now) > rules.stale => Err(Unfit::Stale),
            State::Starting => Err(Unfit::Starting),
            State::Draining => Err(Unfit::Draining),
            State::Stopping => Err(Unfit::Stopping),
            State::Stalled => Err(Unfit::Stalled),
            State::Serving if !self.load.has_address => Err(Unfit::NoAddress),
            State::Serving if self.unreachable >= REPORTS_UNREACHABLE => {
                Err(Unfit::MediaUnreachable)
            }
            State::Serving => Ok(()),
        }
    }
}
