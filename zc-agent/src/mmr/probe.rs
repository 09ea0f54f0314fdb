//! Watches the daemon: asks how it is several times a second, what it counted once a second, and
//! hears at once when it hangs up.

use super::{AdminSocket, AskError};
use crate::core::Health;
use crate::limits::{HEALTH_INTERVAL, SAMPLE_INTERVAL, WORKER_STALLED_AFTER};
use crate::orders::Action;
use hyper::Method;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use wire::stats::Stats;

/// What was seen of the daemon.
#[derive(Debug)]
pub(crate) enum Sight {
    /// What it counted.
    Stats(Box<Stats>),
    /// How it is.
    Health(Health),
    /// An order was carried out, or not.
    Done(Action, Result<(), AskError>),
}

/// Tells what it sees, and carries out orders, until nobody listens.
pub(crate) async fn watch(
    socket: AdminSocket,
    sights: mpsc::Sender<Sight>,
    mut orders: mpsc::Receiver<Action>,
) {
    let mut probe = Probe { socket, sights, well: false };
    let mut health = interval(HEALTH_INTERVAL);
    let mut samples = interval(SAMPLE_INTERVAL);
    health.set_missed_tick_behavior(MissedTickBehavior::Delay);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Once between two questions is soon enough, should a daemon hang up after each.
    let mut may_hang_up = true;
    loop {
        let told = tokio::select! {
            _ = samples.tick() => probe.look().await,
            _ = health.tick() => {
                may_hang_up = true;
                probe.feel().await
            }
            () = probe.socket.hung_up(), if may_hang_up => {
                may_hang_up = false;
                probe.feel().await
            }
            order = orders.recv() => match order {
                Some(order) => probe.carry_out(order).await,
                None => return,
            },
        };
        if told.is_err() {
            return;
        }
    }
}

/// Nobody listens any more.
type Told = Result<(), mpsc::error::SendError<Sight>>;

struct Probe {
    socket: AdminSocket,
    sights: mpsc::Sender<Sight>,
    /// As of the last time it was asked.
    well: bool,
}

impl Probe {
    /// Asks what it counted.
    async fn look(&mut self) -> Told {
        match self.socket.stats().await {
            Ok(stats) => self.sights.send(Sight::Stats(Box::new(stats))).await,
            Err(why @ AskError::Unreadable(_)) => {
                self.sights.send(Sight::Health(Health::Silent(why.to_string()))).await
            }
            // Why will be told by its health.
            Err(_) => self.feel().await,
        }
    }

    /// Asks how it is. What it counts is of interest at once when it is well again.
    async fn feel(&mut self) -> Told {
        let health = match self.ask_health().await {
            // A daemon that ends hangs up; whether one is there the next connection tells.
            Err(AskError::HungUp(_)) => health(self.ask_health().await),
            answer => health(answer),
        };
        let was_well = std::mem::replace(&mut self.well, health == Health::Well);
        self.sights.send(Sight::Health(health)).await?;
        if was_well || !self.well {
            return Ok(());
        }
        match self.socket.stats().await {
            Ok(stats) => self.sights.send(Sight::Stats(Box::new(stats))).await,
            // The next question tells why.
            Err(_) => Ok(()),
        }
    }

    async fn carry_out(&mut self, action: Action) -> Told {
        let done = self.socket.ask(Method::POST, &action.request()).await.map(|_| ());
        let succeeded = done.is_ok();
        self.sights.send(Sight::Done(action, done)).await?;
        if succeeded { self.look().await } else { Ok(()) }
    }

    async fn ask_health(&mut self) -> Result<(), AskError> {
        let path = format!("/health?stalled={}ms", WORKER_STALLED_AFTER.as_millis());
        self.socket.ask(Method::GET, &path).await.map(|_| ())
    }
}

fn health(answer: Result<(), AskError>) -> Health {
    match answer {
        Ok(()) => Health::Well,
        Err(AskError::Refused(why)) => Health::Stalled(why),
        Err(gone @ AskError::Gone(..)) => Health::Gone(gone.to_string()),
        Err(other) => Health::Silent(other.to_string()),
    }
}
