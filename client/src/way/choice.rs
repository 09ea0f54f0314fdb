//! Which zone is the best, and when that is known: pure, measurements in and a decision out.
//!
//! What a zone costs is the time its nearest controller takes to answer, plus the time it takes to send
//! [`DOWNLOAD_LEN`](crate::limits::DOWNLOAD_LEN) bytes: about a keyframe. The least is the best. Zones
//! that are as good as the best count as equal, and the one that was told first is taken, so that people in one place
//! choose alike.

use crate::limits::{CONTROLLERS_DEADLINE, MEASURE_DEADLINE, PROBE_ROUNDS};
use std::time::Duration;

/// Counts for a transfer that could not be measured.
const TRANSFER_UNKNOWN: Duration = Duration::from_millis(500);
/// A zone without room for another meeting is taken when there is no other.
const NO_ROOM: Duration = Duration::from_secs(10);
/// Zones that cost this much more than the best are as good: so much and this part of it.
const AS_GOOD: (Duration, u32) = (Duration::from_millis(5), 10);

/// What is known of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It was asked and has not answered.
    Asked,
    /// It answered; its throughput is being measured.
    Answered(Ping),
    /// All is known. `None`: it would not be measured.
    Measured(Ping, Option<Duration>),
    /// It can't be reached, or is something else.
    Failed,
}

/// How a controller answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ping {
    /// The median round trip so far.
    pub(super) round_trip: Duration,
    /// Whether its zone takes new meetings.
    pub(super) room: bool,
}

/// A controller, and the zone it is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Zones are numbered in the order they were told.
    pub(super) zone: usize,
    pub(super) state: State,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This zone is the best, whatever is still to come.
    Take(usize),
    /// Wait for news, or until so long after the start.
    Wait(Duration),
    /// No controller can be reached.
    Nobody,
}

/// Decides as soon as nobody who has not been measured can be better than who has.
pub(super) fn decide(candidates: &[Candidate], elapsed: Duration) -> Decision {
    let left = || candidates.iter().filter(|candidate| candidate.state != State::Failed);
    let Some(first) = left().next() else { return Decision::Nobody };
    let answered = left().any(|candidate| candidate.state != State::Asked);
    if !answered {
        let over = elapsed >= CONTROLLERS_DEADLINE;
        return if over { Decision::Nobody } else { Decision::Wait(CONTROLLERS_DEADLINE) };
    }
    if left().all(|candidate| candidate.zone == first.zone) {
        return Decision::Take(first.zone);
    }
    let best = best(candidates);
    if elapsed >= MEASURE_DEADLINE {
        return best.map_or(Decision::Nobody, |(zone, _)| Decision::Take(zone));
    }
    let measured = left().filter(|one| matches!(one.state, State::Measured(..)));
    let Some(least) = measured.filter_map(|one| cost(one.state)).min() else {
        return Decision::Wait(MEASURE_DEADLINE);
    };
    // A probe takes so many round trips and the transfer: who has not ended by then costs more.
    let known_at = (least * PROBE_ROUNDS).min(MEASURE_DEADLINE);
    let mut others = left().filter(|one| best.is_none_or(|(zone, _)| one.zone != zone));
    let may_be_better = others.any(|one| match one.state {
        State::Asked => elapsed < known_at,
        State::Answered(ping) => elapsed < known_at && ping.round_trip < least,
        State::Measured(..) | State::Failed => false,
    });
    match best {
        Some((zone, _)) if !may_be_better => Decision::Take(zone),
        _ => Decision::Wait(known_at),
    }
}

/// The best zone of those that answered, as far as is known now, and what it costs.
fn best(candidates: &[Candidate]) -> Option<(usize, Duration)> {
    let known = || candidates.iter().filter_map(|one| Some((one.zone, cost(one.state)?)));
    let least = known().map(|(_, cost)| cost).min()?;
    let as_good = least + AS_GOOD.0 + least / AS_GOOD.1;
    known().filter(|(_, cost)| *cost <= as_good).min_by_key(|(zone, cost)| (*zone, *cost))
}

/// What a controller's zone costs, as far as is known; the least of its controllers' counts.
fn cost(state: State) -> Option<Duration> {
    let (ping, transfer) = match state {
        State::Asked | State::Failed => return None,
        State::Answered(ping) => (ping, None),
        State::Measured(ping, transfer) => (ping, transfer),
    };
    let full = if ping.room { Duration::ZERO } else { NO_ROOM };
    Some(ping.round_trip + transfer.unwrap_or(TRANSFER_UNKNOWN) + full)
}

#[cfg(test)]
mod tests;
