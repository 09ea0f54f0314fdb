//! One assignment: who asks, where the meeting is or goes, and that all controllers agree on it.

use super::tokens::Asker;
use super::{Controller, State, refusal, unix_now_s};
use crate::limits::COMMIT_TRIES;
use crate::placement::{Choice, Refused, Why};
use crate::store::{Change, Outcome, Place, UsedToken};
use std::sync::PoisonError;
use wire::zone::{Assign, Assignment, ControlPoint, Refusal, RefusalCode};

/// What verifiers allow clocks to be apart, twice: a token is remembered longer than anybody takes
/// it.
const LEEWAY_S: u64 = 12;

impl Controller {
    /// Says which MMR to join. A refusal uses no token up.
    ///
    /// # Errors
    /// Why not, and when to ask again.
    pub async fn assign(&self, assign: &Assign) -> Result<Assignment, Refusal> {
        let Ok(_permit) = self.assigns.try_acquire() else {
            return Err(Refusal {
                code: RefusalCode::Overloaded,
                message:
                    "This controller has more to do than it can. Try again, or ask another one."
                        .into(),
                retry_after_ms: Some(rand::random_range(1_000..2_000)),
            });
        };
        let now_s = unix_now_s();
        let credentials = self.credentials();
        let asker = Asker::check(&credentials, &self.zone, assign, now_s)?;
        if !asker.with_token {
            self.pace_ticket(&asker)?;
        }
        if let Some(failed) = &assign.failed {
            self.counts.failed_hints.inc();
            tracing::debug!(mmr = %failed, "a client says that it could not use this MMR");
        }
        let (place, control) = self.agree(&asker, &assign.meeting, now_s).await?;
        let lifetime_s = self.ticket_lifetime_s;
        let (token, ticket) = asker.exchange(&credentials, assign, now_s, lifetime_s);
        Ok(Assignment { mmr: place.mmr, epoch: place.epoch, control, token, ticket })
    }

    /// One participant asks only so often with its ticket.
    fn pace_ticket(&self, asker: &Asker) -> Result<(), Refusal> {
        let participant = (&asker.claims.meeting, &asker.claims.sub);
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = tickets.take(participant, self.now());
        taken.map_err(|wait| refused(Refused { why: Why::MeetingTooFast, retry_after: wait }))
    }

    /// Places, and tries again when another controller was faster.
    async fn agree(
        &self,
        asker: &Asker,
        meeting: &str,
        now_s: u64,
    ) -> Result<(Place, ControlPoint), Refusal> {
        let found = self.store.place_of(meeting).await;
        let mut at = found.map_err(|error| self.unavailable(&error))?;
        for _ in 0..COMMIT_TRIES {
            let (choice, control) = self.choose(meeting, at.as_ref())?;
            let to = self.place(at.as_ref(), &choice, now_s);
            let token = asker.with_token.then(|| UsedToken {
                jti: &asker.claims.jti,
                until_s: asker.claims.exp.saturating_add(LEEWAY_S),
                attempt: &asker.attempt,
            });
            let change = Change { token, meeting, from: at.as_ref(), to: &to, now_s };
            let outcome = self.store.commit(&change).await;
            if !matches!(outcome, Ok(Outcome::Done)) {
                self.state().placement.give_back(&choice.mmr);
            }
            match outcome {
                Ok(Outcome::Done) => {
                    self.counts.placed(at.is_some(), choice.stays);
                    self.state().announced.forget(meeting);
                    return Ok((to, control));
                }
                Ok(Outcome::TokenUsed) => {
                    let message = "This token was used before. To ask again in the same meeting, show the ticket \
                                   that came with the answer.";
                    return Err(refusal(RefusalCode::TokenUsed, message));
                }
                Ok(Outcome::Moved(now_at)) => at = now_at,
                Err(error) => return Err(self.unavailable(&error)),
            }
        }
        Err(Refusal {
            code: RefusalCode::Overloaded,
            message: "The meeting moves faster than this controller can follow. Try again.".into(),
            retry_after_ms: Some(rand::random_range(200..400)),
        })
    }

    fn choose(&self, meeting: &str, at: Option<&Place>) -> Result<(Choice, ControlPoint), Refusal> {
        let now = self.now();
        let mut state = self.state();
        let State { placement, announced, .. } = &mut *state;
        let at = at.map(|place| &place.mmr).or_else(|| announced.place_of(meeting));
        let placed = placement.place(meeting, at, now);
        let choice = placed.map_err(refused)?;
        let control = state.known.get(&choice.mmr).and_then(|known| known.control.clone());
        match control {
            Some(control) => Ok((choice, control)),
            // It had an address when the meeting came, and has none now.
            None => {
                state.placement.give_back(&choice.mmr);
                Err(refused(Refused {
                    why: Why::NotHeardYet,
                    retry_after: std::time::Duration::from_secs(1),
                }))
            }
        }
    }

    /// The place as it will be; the same as before while it stays and need not be renewed.
    fn place(&self, at: Option<&Place>, choice: &Choice, now_s: u64) -> Place {
        match at {
            Some(place) if choice.stays => {
                let is_fresh = now_s < place.renewed_s.saturating_add(self.renew_after_s);
                let renewed_s = if is_fresh { place.renewed_s } else { now_s };
                Place { renewed_s, ..place.clone() }
            }
            _ => Place {
                mmr: choice.mmr.clone(),
                epoch: at.map_or(1, |place| place.epoch + 1),
                renewed_s: now_s,
            },
        }
    }
}

fn refused(refused: Refused) -> Refusal {
    let (code, message) = match refused.why {
        Why::MeetingFull => (
            RefusalCode::MeetingFull,
            "The meeting's MMR has no room for another participant. Try again when somebody has left.",
        ),
        Why::ZoneFull => (
            RefusalCode::ZoneFull,
            "No MMR of this zone has room for another meeting. Try again later, or another zone.",
        ),
        Why::NoMmr => (
            RefusalCode::NoMmr,
            "No MMR of this zone takes meetings now: all are silent, stalled or draining. Try again, or another zone.",
        ),
        Why::MeetingTooFast => (
            RefusalCode::TooFast,
            "Many join this meeting at once, or one asks too often. Try again after the time given.",
        ),
        Why::MmrTooFast => (
            RefusalCode::TooFast,
            "Many join the meeting's MMR at once. Try again after the time given.",
        ),
        Why::NotHeardYet => (
            RefusalCode::Unavailable,
            "This controller has not heard of the meeting's MMR yet. Try again, or ask another controller.",
        ),
    };
    let ms = u64::try_from(refused.retry_after.as_millis()).unwrap_or(u64::MAX);
    let retry_after_ms = Some(ms.clamp(50, wire::zone::RETRY_AFTER_MS_MAX));
    Refusal { code, message: message.into(), retry_after_ms }
}
