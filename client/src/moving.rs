//! A participant's move to another MMR: when it begins, what it ends with, and how long both stay.

use crate::controllers::wait;
use crate::entry::{Departure, Entry};
use crate::session::{Events, Session, SessionEvent};
use crate::{ClientError, limits};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What is built at the new MMR, with the way in it came by.
type Arrival<S> = Pin<Box<dyn Future<Output = Result<(Entry, S), ClientError>> + Send>>;

/// Watches one participant's MMR, and moves the participant when it has to.
pub(crate) struct Mover<S> {
    entry: Entry,
    /// Makes of a session what its owner needs of it, until then beside what there is.
    settle: Arc<Settle<S>>,
    under_way: Option<(Departure, Arrival<S>)>,
    /// Whether the channel dropped or a link closed.
    broken: bool,
    /// Of the MMR that drains.
    deadline: Option<Instant>,
    moved: u32,
}

type Settle<S> = dyn Fn(Session, Events) -> Settling<S> + Send + Sync;

/// Something being built at a new MMR.
pub(crate) type Settling<S> = Pin<Box<dyn Future<Output = Result<S, ClientError>> + Send>>;

/// A new place, and how long the old one is good for.
pub(crate) struct Moved<S> {
    pub(crate) stay: S,
    /// Until when the old MMR carries media; `None`: it is lost.
    pub(crate) overlap_until: Option<Instant>,
}

impl<S: Send + 'static> Mover<S> {
    pub(crate) fn new(
        entry: Entry,
        settle: impl Fn(Session, Events) -> Settling<S> + Send + Sync + 'static,
    ) -> Self {
        Self {
            entry,
            settle: Arc::new(settle),
            under_way: None,
            broken: false,
            deadline: None,
            moved: 0,
        }
    }

    /// Takes what the session at the present MMR says.
    ///
    /// # Errors
    /// The session is over and there is no way on.
    pub(crate) fn handle_event(&mut self, event: &SessionEvent) -> Result<(), ClientError> {
        match event {
            SessionEvent::Draining { deadline_s } if self.entry.can_move() => {
                self.deadline = Some(Instant::now() + Duration::from_secs(*deadline_s));
                self.depart(Departure::Draining);
            }
            SessionEvent::Draining { deadline_s } => tracing::warn!(
                deadline_s,
                "the MMR goes away; join the meeting on another one before the deadline"
            ),
            SessionEvent::Dropped(_) => {
                self.broken = true;
                self.depart(Departure::Dropped);
            }
            SessionEvent::Resumed => {
                self.broken = false;
                self.call_off();
            }
            SessionEvent::Closed(why) if self.entry.can_move() => {
                tracing::info!(why, "the MMR is lost");
                self.depart(Departure::Over);
            }
            SessionEvent::Closed(why) => return Err(ClientError::ChannelLost(why.clone())),
            _ => {}
        }
        Ok(())
    }

    /// Whether this is of an MMR that is being left, or may be: no reason to give up yet.
    pub(crate) fn excuses(&mut self, error: &ClientError) -> bool {
        let of_mmr = matches!(
            error,
            ClientError::LinkClosed(_) | ClientError::ChannelLost(_) | ClientError::Timeout(_)
        );
        if of_mmr {
            self.broken = true;
            self.depart(Departure::Dropped);
        }
        of_mmr && self.is_moving()
    }

    /// Takes whether nothing is heard of the present MMR: one whose host is gone says nothing else.
    pub(crate) fn handle_silence(&mut self, silent: bool) {
        if silent {
            self.depart(Departure::Dropped);
        } else if !self.broken {
            self.call_off();
        }
    }

    /// Ends when the participant has moved, or can't; never while it does not move. May be dropped
    /// while it waits.
    pub(crate) async fn arrive(&mut self) -> Result<Moved<S>, ClientError> {
        loop {
            let Some((why, arrival)) = &mut self.under_way else {
                return std::future::pending().await;
            };
            let (why, arrived) = (*why, arrival.await);
            self.under_way = None;
            match arrived {
                Ok((entry, stay)) => {
                    self.entry = entry;
                    self.moved += 1;
                    let mmr = self.entry.mmr().map(ToString::to_string);
                    tracing::info!(mmr, ?why, "moved to another MMR");
                    let overlap_until = (why == Departure::Draining).then(|| self.last_moment());
                    (self.deadline, self.broken) = (None, false);
                    return Ok(Moved { stay, overlap_until });
                }
                Err(error) if why == Departure::Over => return Err(error),
                // The MMR still serves, or says so when it does no longer.
                Err(error) => tracing::warn!(%error, "no other MMR to move to"),
            }
        }
    }

    pub(crate) fn is_moving(&self) -> bool {
        self.under_way.is_some()
    }

    /// How often it moved.
    pub(crate) fn moved(&self) -> u32 {
        self.moved
    }

    /// The MMR it is at, if controllers named it.
    pub(crate) fn mmr(&self) -> Option<String> {
        self.entry.mmr().map(ToString::to_string)
    }

    /// The MMR is there after all.
    fn call_off(&mut self) {
        self.under_way.take_if(|(why, _)| *why == Departure::Dropped);
    }

    fn last_moment(&self) -> Instant {
        let now = Instant::now();
        let deadline = self.deadline.unwrap_or(now + limits::OVERLAP);
        deadline.checked_sub(limits::DRAIN_MARGIN).unwrap_or(now)
    }

    /// A worse reason replaces one that has not led anywhere yet.
    fn depart(&mut self, why: Departure) {
        let worse = self.under_way.as_ref().is_none_or(|(before, _)| *before < why);
        if !self.entry.can_move() || !worse {
            return;
        }
        let entry = self.entry.clone();
        let settle = Arc::clone(&self.settle);
        self.under_way = Some((why, Box::pin(move_on(entry, why, settle))));
    }
}

/// Joins and settles, again and again until its time is over.
async fn move_on<S>(
    entry: Entry,
    why: Departure,
    settle: Arc<Settle<S>>,
) -> Result<(Entry, S), ClientError> {
    let deadline = Instant::now() + limits::MOVE_DEADLINE;
    loop {
        // From the same start each time: what it has not settled at is no place of its own.
        let mut there = entry.clone();
        let (session, events) = there.move_on(why).await?;
        match settle(session, events).await {
            Ok(stay) => return Ok((there, stay)),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(error) => tracing::debug!(%error, "the MMR that the zone named could not be used"),
        }
        sleep(wait(limits::ASK_INTERVAL)).await;
    }
}
