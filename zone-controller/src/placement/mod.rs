//! Which MMR a meeting goes to: state in, decision out.
//!
//! Pure: time is a value (since any start), randomness a seed. [`Placement`] knows the MMRs' loads
//! and what was placed on them since; which meeting is where, and agreeing on it with other
//! controllers, is the store's. The server and `zone-controller simulate` use the same code.

mod mmr;
mod rules;
mod strategy;

pub use ::daemon::pace::{Pace, Paces};
pub use mmr::{Load, Unfit};
pub use rules::{Rules, Strategy};

use crate::limits::{CONFIRM, FORGET_AFTER, MEETINGS_PACED_MAX, MMRS_MAX, SUSPECTS_MAX};
use mmr::Mmr;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use wire::MmrId;

/// The zone's MMRs as one controller sees them.
pub struct Placement {
    rules: Rules,
    mmrs: Vec<Mmr>,
    index: HashMap<MmrId, usize>,
    drains: BTreeSet<MmrId>,
    /// What other controllers say; none when there are none.
    others: Option<Others>,
    /// MMRs that have meetings and were never heard of, and since when that is known.
    unheard: BTreeMap<MmrId, Duration>,
    meetings: Paces,
    started: Duration,
    rng: StdRng,
}

/// Where a meeting goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The MMR.
    pub mmr: MmrId,
    /// Whether the meeting was there already.
    pub stays: bool,
}

/// Why there is no place, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Why,
    /// Spread out, so that those who are refused together do not come back together.
    pub retry_after: Duration,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The meeting's MMR is full.
    MeetingFull,
    /// Every fit MMR is full.
    ZoneFull,
    /// No MMR is fit.
    NoMmr,
    /// Too many ask for this meeting.
    MeetingTooFast,
    /// The meeting's MMR gets newcomers faster than it should.
    MmrTooFast,
    /// The meeting's MMR has not reported to this controller, but may be well.
    NotHeardYet,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is the newest of its MMR.
    Taken,
    /// A newer one was here before.
    Old,
    /// There are as many MMRs as this controller has room for.
    TooMany,
}

impl Placement {
    /// Knows no MMR. Until `rules.stale` has passed since `now`, one that was not heard of counts as
    /// not heard yet, never as lost.
    pub fn new(rules: Rules, seed: u64, now: Duration) -> Self {
        Self {
            meetings: Paces::new(rules.meeting_pace, MEETINGS_PACED_MAX),
            rules,
            mmrs: Vec::new(),
            index: HashMap::new(),
            drains: BTreeSet::new(),
            others: None,
            unheard: BTreeMap::new(),
            started: now,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Takes a report in.
    pub fn report(&mut self, id: &MmrId, load: Load, now: Duration) -> Heard {
        if let Some(&at) = self.index.get(id) {
            return self.mmrs[at].report(load, &self.rules, now);
        }
        self.unheard.remove(id);
        if self.mmrs.len() >= MMRS_MAX {
            self.forget_lost(now);
        }
        if self.mmrs.len() >= MMRS_MAX {
            return Heard::TooMany;
        }
        self.index.insert(id.clone(), self.mmrs.len());
        self.mmrs.push(Mmr::new(id.clone(), load, &self.rules, now));
        Heard::Taken
    }

    /// The MMRs that operators want drained.
    pub fn set_drains(&mut self, drains: BTreeSet<MmrId>) {
        self.drains = drains;
    }

    /// What other controllers of the zone answered; `None` when there are none.
    pub fn set_others(&mut self, others: Option<Others>) {
        self.others = others;
    }

    /// Where a participant of a meeting goes; `at` is where the meeting is. A place on an MMR is
    /// taken by it: [`Placement::give_back`] when nothing comes of it.
    ///
    /// # Errors
    /// When there is no place now.
    pub fn place(
        &mut self,
        meeting: &str,
        at: Option<&MmrId>,
        now: Duration,
    ) -> Result<Choice, Refused> {
        if let Err(wait) = self.meetings.take(meeting, now) {
            return Err(self.refuse(Why::MeetingTooFast, wait));
        }
        let chosen = match at.map(|id| self.stay(id, now)) {
            Some(Stay::Yes(at)) => Ok((at, true)),
            Some(Stay::No(why)) => Err((why, retry_after(why))),
            None => self.choose(self.rules.full_for_meetings, now),
            Some(Stay::Leave) => self
                .choose(self.rules.full_for_meetings, now)
                .or_else(|_| self.choose(self.rules.full, now)),
        };
        let taken = chosen.and_then(|(at, stays)| {
            let taken = self.mmrs[at].take(&self.rules, now);
            taken.map(|()| (at, stays)).map_err(|wait| (Why::MmrTooFast, wait))
        });
        match taken {
            Ok((at, stays)) => Ok(Choice { mmr: self.mmrs[at].id.clone(), stays }),
            Err((why, wait)) => {
                self.meetings.give_back(meeting);
                Err(self.refuse(why, wait))
            }
        }
    }

    /// Nothing came of a place.
    pub fn give_back(&mut self, mmr: &MmrId) {
        if let Some(&at) = self.index.get(mmr) {
            self.mmrs[at].give_back(&self.rules);
        }
    }

    /// Forgets MMRs that have not been heard of for long.
    pub fn forget_lost(&mut self, now: Duration) {
        self.unheard.retain(|_, since| now.saturating_sub(*since) < FORGET_AFTER);
        self.mmrs.retain(|mmr| mmr.silent_for(now) < FORGET_AFTER);
        self.index = self.mmrs.iter().enumerate().map(|(at, mmr)| (mmr.id.clone(), at)).collect();
    }

    /// Whether this controller hears an MMR.
    pub fn hears(&self, id: &MmrId, now: Duration) -> bool {
        let mmr = self.index.get(id).map(|&at| &self.mmrs[at]);
        mmr.is_some_and(|mmr| mmr.silent_for(now) <= self.rules.stale)
    }

    /// The MMRs to ask other controllers about: before they count as lost, so that the answers are
    /// there by then. Not all when there are very many: then it is this controller that hears
    /// nothing, and MMRs that were not asked about are not given up.
    pub fn wonders(&self, now: Duration) -> BTreeSet<MmrId> {
        let early = self.rules.stale.saturating_sub(CONFIRM);
        let silent = self.mmrs.iter().filter(|mmr| mmr.silent_for(now) > early).map(|mmr| &mmr.id);
        self.unheard.keys().chain(silent).take(SUSPECTS_MAX).cloned().collect()
    }

    /// Whether a new meeting would find room.
    pub fn has_room(&self, now: Duration) -> bool {
        self.mmrs
            .iter()
            .any(|mmr| self.fitness(mmr, now).is_ok() && mmr.has_room(self.rules.full_for_meetings))
    }

    /// Each MMR: id, load, stress with what was placed since, age of its report, and why it is not
    /// fit.
    pub fn mmrs(&self, now: Duration) -> impl Iterator<Item = View<'_>> {
        self.mmrs.iter().map(move |mmr| View {
            id: &mmr.id,
            load: &mmr.load,
            stress_corrected: mmr.corrected(),
            report_age: mmr.silent_for(now),
            unfit: self.fitness(mmr, now).err(),
        })
    }

    /// Whether newcomers may be sent to an MMR.
    fn fitness(&self, mmr: &Mmr, now: Duration) -> Result<(), Unfit> {
        if self.drains.contains(&mmr.id) {
            return Err(Unfit::Draining);
        }
        mmr.fitness(&self.rules, now)
    }

    /// Whether a meeting stays where it is. Moving one splits it when its MMR is well after all.
    fn stay(&mut self, id: &MmrId, now: Duration) -> Stay {
        let Some(&at) = self.index.get(id) else { return self.stay_unheard(id, now) };
        let mmr = &self.mmrs[at];
        match self.fitness(mmr, now) {
            // Its media ports may look unreachable because of a few peers, hostile ones even; those
            // who are there may be well. New meetings avoid it.
            Ok(()) | Err(Unfit::MediaUnreachable) if mmr.has_room(self.rules.full) => Stay::Yes(at),
            Ok(()) | Err(Unfit::MediaUnreachable) => Stay::No(Why::MeetingFull),
            Err(Unfit::Stale) => match self.lost(id, mmr.silent_for(now)) {
                Lost::Yes => Stay::Leave,
                // It is this controller that is cut off from it.
                Lost::No => Stay::Yes(at),
                Lost::Unclear => Stay::No(Why::NotHeardYet),
            },
            // An agent that was started again says so until its router has answered it.
            Err(Unfit::Starting) if mmr.in_state_for(now) <= self.rules.stale => {
                Stay::No(Why::NotHeardYet)
            }
            Err(Unfit::NoAddress) => Stay::No(Why::NotHeardYet),
            Err(_) => Stay::Leave,
        }
    }

    /// The same for an MMR that has not reported since this controller started.
    fn stay_unheard(&mut self, id: &MmrId, now: Duration) -> Stay {
        if self.drains.contains(id) {
            return Stay::Leave;
        }
        if !self.unheard.contains_key(id) && self.unheard.len() < SUSPECTS_MAX {
            self.unheard.insert(id.clone(), now);
        }
        let since = self.unheard.get(id).map_or(now, |since| (*since).min(now));
        // Silent since the start, but not asked about before it was known.
        let silent = now.saturating_sub(self.started);
        let asked = now.saturating_sub(since);
        let silent =
            if self.others.is_some() { silent.min(self.rules.stale + asked) } else { silent };
        match self.lost(id, silent) {
            Lost::Yes => Stay::Leave,
            // Others know its addresses, this controller does not.
            Lost::No | Lost::Unclear => Stay::No(Why::NotHeardYet),
        }
    }

    /// Whether an MMR that was silent for so long is lost, rather than not heard here.
    fn lost(&self, id: &MmrId, silent: Duration) -> Lost {
        let Some(others) = &self.others else {
            return if silent > self.rules.stale { Lost::Yes } else { Lost::Unclear };
        };
        if others.hear.contains(id) {
            return Lost::No;
        }
        let answered = others.asked.contains(id) && silent > self.rules.stale + CONFIRM;
        if answered { Lost::Yes } else { Lost::Unclear }
    }

    /// An MMR for a meeting that has none.
    fn choose(&mut self, full: f64, now: Duration) -> Result<(usize, bool), (Why, Duration)> {
        // Borrowed apart, since a strategy draws numbers while it looks at MMRs.
        let Self { rules, mmrs, drains, rng, .. } = self;
        let fit = |mmr: &Mmr| !drains.contains(&mmr.id) && mmr.fitness(rules, now).is_ok();
        let chosen = strategy::choose(rules.strategy, full, mmrs, fit, rng);
        chosen.map(|at| (at, false)).map_err(|why| (why, retry_after(why)))
    }

    fn refuse(&mut self, why: Why, wait: Duration) -> Refused {
        let wait = wait.max(RETRY_MIN);
        Refused { why, retry_after: wait.mul_f64(1.0 + self.rng.random::<f64>()) }
    }
}

/// What [`Placement::mmrs`] tells of one.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Which.
    pub id: &'a MmrId,
    /// As reported.
    pub load: &'a Load,
    /// With what was placed since.
    pub stress_corrected: f64,
    /// Since its last report.
    pub report_age: Duration,
    /// Why newcomers are not sent there.
    pub unfit: Option<Unfit>,
}

/// What other controllers answered about the MMRs they were asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Those they were asked about, in time to answer.
    pub asked: BTreeSet<MmrId>,
    /// Those at least one of them hears.
    pub hear: BTreeSet<MmrId>,
}

enum Lost {
    Yes,
    No,
    /// Not heard here, and not answered yet.
    Unclear,
}

enum Stay {
    Yes(usize),
    No(Why),
    Leave,
}

/// A pace says when there is room for one, but many wait for it: asking more often only costs.
const RETRY_MIN: Duration = Duration::from_millis(500);

/// At least how long until asking again may help.
fn retry_after(why: Why) -> Duration {
    Duration::from_millis(match why {
        // The next report may bring news.
        Why::NotHeardYet | Why::NoMmr => 1_000,
        // Somebody must leave first, or a host be added.
        Why::MeetingFull | Why::ZoneFull => 5_000,
        // Said by the pace itself.
        Why::MeetingTooFast | Why::MmrTooFast => 0,
    })
}

#[cfg(test)]
mod tests;
