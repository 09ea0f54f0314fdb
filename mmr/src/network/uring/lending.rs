//! How many slots the kernel has to receive into: few, so that few are ever written. A ring gives
//! its buffers out in turn; with a thousand lent, a quiet worker's memory grows by all of them.
//!
//! When they run out nothing is lost: what comes meanwhile waits in the socket, and the next turn
//! gets twice as many. So turns grow when more comes than goes, which is how a worker notices (the
//! router's overload).

/// Enough for a turn's arrivals while a worker is not busy.
const MIN: usize = 16;

/// The demand of the last turns.
pub(super) struct Lending {
    count: usize,
    max: usize,
}

impl Lending {
    /// Never above `max`.
    pub(super) fn new(max: u16) -> Self {
        let max = usize::from(max);
        Self { count: MIN.min(max), max }
    }

    /// How many slots the kernel should have.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A turn is over: twice as many when they ran out, one less when most were not needed.
    pub(super) fn learn(&mut self, used: usize, ran_out: bool) {
        if ran_out {
            self.count = (2 * self.count).min(self.max);
        } else if used < self.count / 2 && self.count > MIN {
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_gets_more_slots_and_quiet_fewer() {
        let mut lending = Lending::new(1_024);
        assert_eq!(lending.count(), MIN);
        for _ in 0..10 {
            lending.learn(lending.count(), true);
        }
        assert_eq!(lending.count(), 1_024);
        lending.learn(512, false);
        assert_eq!(lending.count(), 1_024, "half of them were needed");
        for _ in 0..2_000 {
            lending.learn(1, false);
        }
        assert_eq!(lending.count(), MIN);
    }

    #[test]
    fn an_inbox_may_have_fewer_than_that() {
        let mut lending = Lending::new(1);
        lending.learn(1, true);
        lending.learn(0, false);
        assert_eq!(lending.count(), 1);
    }
}
