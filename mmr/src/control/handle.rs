//! How the daemon's other parts reach the control thread.

use super::request::{Asker, Command, Drain, Reload};
use super::snapshot::{Snapshot, heartbeat_ages};
use crate::Error;
use crate::exchange::Exchange;
use crate::express::Each;
use router::WorkerId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use wire::load::Meeting;
use wire::token::Verifier;

/// A worker that has not finished a turn for so long is stalled. Idle workers turn once a second at
/// least: they are asked for a report.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(5);

/// Reaches the control thread, from any thread and runtime.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    exchange: Arc<Exchange>,
}

impl Handle {
    pub(super) fn new(commands: mpsc::Sender<Command>, exchange: Arc<Exchange>) -> Self {
        Self { commands, exchange }
    }

    /// The counts at this moment.
    pub(crate) async fn snapshot(&self) -> Result<Box<Snapshot>, Error> {
        self.ask(Command::Snapshot).await
    }

    /// The meetings there are.
    pub(crate) async fn meetings(&self) -> Result<Vec<Meeting>, Error> {
        self.ask(Command::Meetings).await
    }

    /// What the express plane counted of each layer and link; nothing while it is off.
    pub(crate) async fn express(&self) -> Result<Each, Error> {
        self.ask(Command::Express).await
    }

    pub(crate) async fn drain(&self, drain: Drain) -> Result<(), Error> {
        self.ask(|reply| Command::Drain(drain, reply)).await
    }

    pub(crate) async fn undrain(&self, asker: Asker) -> Result<(), Error> {
        self.ask(|reply| Command::Undrain(asker, reply)).await
    }

    /// `in_turn` is called with what gives the order its place among others, and calls it.
    pub(crate) async fn reload(
        &self,
        reload: Reload,
        in_turn: impl FnOnce(&mut dyn FnMut()),
    ) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let place = self.commands.reserve().await.map_err(|_| Error::Ended)?;
        let mut order = Some((place, Command::Reload(Box::new(reload), reply)));
        in_turn(&mut || {
            if let Some((place, command)) = order.take() {
                place.send(command);
            }
        });
        drop(order);
        answer.await.map_err(|_| Error::Ended)
    }

    /// New token keys; false when there is no room for that now.
    pub(crate) fn try_replace_keys(&self, verifier: Verifier) -> bool {
        self.commands.try_send(Command::Keys(Box::new(verifier))).is_ok()
    }

    /// Tells the thread to end. Blocks no longer than a full queue of commands takes.
    pub(crate) fn stop(&self) {
        let mut command = Command::Stop;
        while let Err(TrySendError::Full(again)) = self.commands.try_send(command) {
            command = again;
            std::thread::yield_now();
        }
    }

    /// Workers that have not finished a turn for longer than this, with how long. Asks nobody:
    /// reads their heartbeats.
    pub(crate) fn stalled(&self, after: Duration) -> Vec<(WorkerId, Duration)> {
        let ages = heartbeat_ages(&self.exchange, Instant::now()).into_iter();
        (0..=u8::MAX).map(WorkerId).zip(ages).filter(|(_, age)| *age > after).collect()
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn names_the_worker_that_takes_no_turns() {
        let started = Instant::now().checked_sub(Duration::from_secs(60)).expect("a booted host");
        let exchange = Arc::new(Exchange::new(3, started).expect("eventfds"));
        let (commands, _nobody) = mpsc::channel(1);
        let handle = Handle::new(commands, Arc::clone(&exchange));
        for (worker, beat_ms) in [(0, 59_900), (1, 50_000), (2, 60_500)] {
            exchange.workers[worker].heartbeat_ms.store(beat_ms, Ordering::Relaxed);
        }
        let stalled: Vec<(u8, u64)> = handle
            .stalled(STALLED_AFTER)
            .iter()
            .map(|(worker, age)| (worker.0, age.as_secs()))
            .collect();
        assert_eq!(stalled, [(1, 10)]);
    }
}
