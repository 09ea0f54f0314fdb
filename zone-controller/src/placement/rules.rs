//! What an operator decides about placement.

use super::Pace;
use std::time::Duration;

/// How meetings are placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// How an MMR is picked.
    pub strategy: Strategy,
    /// Stress from which on an MMR takes no more participants.
    pub full: f64,
    /// Stress from which on it takes no new meetings, so that those it has can grow.
    pub full_for_meetings: f64,
    /// An MMR whose last report is older counts as lost.
    pub stale: Duration,
    /// Over how long reports come to show who has joined: the time constant that agents smooth
    /// stress with. What they do not show yet is added.
    pub settle: Duration,
    /// Newcomers of one meeting.
    pub meeting_pace: Pace,
    /// Newcomers of one MMR.
    pub mmr_pace: Pace,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            strategy: Strategy::Corrected,
            full: 1.0,
            full_for_meetings: 0.8,
            stale: Duration::from_secs(3),
            settle: Duration::from_secs(2),
            meeting_pace: Pace { per_s: 200, burst: 400 },
            mmr_pace: Pace { per_s: 200, burst: 400 },
        }
    }
}

/// How an MMR is picked among those that are fit and have room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Any.
    Random,
    /// The one with the least reported stress.
    LeastLoaded,
    /// Of two drawn at random, the one with less reported stress.
    TwoChoices,
    /// Of two drawn at random, the one with less stress when what was placed since its report is
    /// added.
    #[default]
    Corrected,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 4] = [Self::Random, Self::LeastLoaded, Self::TwoChoices, Self::Corrected];

    /// The name in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LeastLoaded => "least-loaded",
            Self::TwoChoices => "two-choices",
            Self::Corrected => "corrected",
        }
    }
}
