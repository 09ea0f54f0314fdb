//! What the zone wants of the MMR, and what is to be done about it. Pure.
//!
//! Every controller says the same, sooner or later; the order with the largest number is followed.
//! It is carried out once on each daemon: what somebody on the host changes afterwards stays.

use wire::load::{Wanted, WantedState};
use wire::stats::Stats;

/// A request for the admin socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// Of the daemon it is for.
    epoch_ms: u64,
    pub(crate) wanted: Wanted,
}

/// Follows the zone's orders.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    wanted: Option<Wanted>,
    /// On its way.
    pending: bool,
    /// The newest that was carried out: the daemon's start, and the order's number.
    done: Option<(u64, u64)>,
}

impl Action {
    pub(crate) fn request(&self) -> String {
        let order = self.wanted.order;
        match self.wanted.state {
            WantedState::Serve => format!("/undrain?order={order}"),
            WantedState::Drain { deadline_s } => {
                format!("/drain?deadline={deadline_s}s&order={order}")
            }
        }
    }
}

impl Orders {
    /// A controller's word.
    pub(crate) fn handle_wanted(&mut self, wanted: Wanted) {
        // The same order again tells how much of its time is left.
        if self.wanted.is_none_or(|before| wanted.order >= before.order) {
            self.wanted = Some(wanted);
        }
    }

    /// What is to be done about a daemon that says this of itself.
    pub(crate) fn poll_action(&mut self, stats: &Stats) -> Option<Action> {
        let wanted = self.wanted?;
        let is_done = self.done == Some((stats.epoch_ms, wanted.order));
        let is_due = !self.pending && !is_done && !stats.stopping && differs(wanted, stats);
        self.pending |= is_due;
        is_due.then_some(Action { epoch_ms: stats.epoch_ms, wanted })
    }

    /// An action succeeded, or is to be tried again.
    pub(crate) fn handle_done(&mut self, action: Action, succeeded: bool) {
        self.pending = false;
        if succeeded {
            self.done = Some((action.epoch_ms, action.wanted.order));
        }
    }
}

/// Whether the daemon does something else. A drain that the host asked for does for the zone's, and
/// is not the zone's to end.
fn differs(wanted: Wanted, stats: &Stats) -> bool {
    let draining = stats.draining_s.is_some();
    let older = stats.drain_order.is_some_and(|order| order < wanted.order);
    match wanted.state {
        WantedState::Serve => draining && older,
        WantedState::Drain { .. } => !draining || older,
    }
}

#[cfg(test)]
mod tests;
