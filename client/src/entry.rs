//! A participant's way into its meeting: straight to one MMR, or to whichever one the zone's
//! controllers name, and from there to the next.

use crate::controllers::{Controllers, NotNow, wait};
use crate::dial::Dialer;
use crate::options::{Destination, JoinOptions};
use crate::session::{Events, Session};
use crate::{ClientError, Token, limits};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::control::{ErrorCode, Secret};
use wire::zone::{Assign, Assignment};
use wire::{Kind, MmrId};

/// A way in. Clones are the same participant's.
#[derive(Clone)]
pub(crate) struct Entry {
    options: JoinOptions,
    zone: Option<Zone>,
}

/// What a participant shows its zone.
#[derive(Clone)]
struct Zone {
    controllers: Controllers,
    meeting: String,
    kinds: Vec<Kind>,
    /// The join token, then the ticket of the last assignment.
    pass: Secret,
    /// Random; an answer that was lost is given again for the same one.
    attempt: Secret,
    at: Option<(MmrId, u64)>,
}

/// Why a participant leaves its MMR, the more pressing the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Departure {
    /// It asked for it.
    Draining,
    /// Its channel dropped, and may come back.
    Dropped,
    /// It knows the participant no longer, or nobody answers.
    Over,
}

/// What a client reads of its own token. The controllers check it.
#[derive(Deserialize)]
struct Granted {
    meeting: String,
    kinds: Vec<Kind>,
}

impl Entry {
    pub(crate) fn new(options: JoinOptions) -> Result<Self, ClientError> {
        let Destination::Zone(urls) = &options.at else { return Ok(Self { options, zone: None }) };
        let Granted { meeting, kinds } = granted(&options.token)?;
        let controllers = Controllers::new(urls.clone(), options.ip, &options.trust)?;
        let pass = Secret(options.token.expose().to_owned());
        let attempt = random();
        let zone = Zone { controllers, meeting, kinds, pass, attempt, at: None };
        Ok(Self { options, zone: Some(zone) })
    }

    /// Joins for the first time.
    pub(crate) async fn join(&mut self) -> Result<(Session, Events), ClientError> {
        if self.zone.is_some() {
            return self.enter(Departure::Over, limits::ENTRY_DEADLINE).await;
        }
        let (dialer, token) = self.way().await?;
        Session::open(dialer, &token, self.options.transport).await
    }

    /// Joins another MMR as soon as the controllers name one; the same one again only if the
    /// session there is over.
    pub(crate) async fn move_on(
        &mut self,
        why: Departure,
    ) -> Result<(Session, Events), ClientError> {
        self.enter(why, limits::MOVE_DEADLINE).await
    }

    /// How the MMR is reached, and a token for it, for who opens the channel step by step.
    pub(crate) async fn way(&mut self) -> Result<(Dialer, Token), ClientError> {
        match self.options.at.clone() {
            Destination::Mmr(mmr) => {
                let JoinOptions { token, trust, ip, .. } = self.options.clone();
                Ok((Dialer::new(mmr, ip, trust)?, token))
            }
            Destination::Zone(_) => {
                let assignment = self.ask(None).await.map_err(|not_now| not_now.error)?;
                self.way_to(assignment)
            }
        }
    }

    /// Whether there is anybody to ask for another MMR.
    pub(crate) fn can_move(&self) -> bool {
        self.zone.is_some()
    }

    /// The MMR it was sent to last, if controllers did.
    pub(crate) fn mmr(&self) -> Option<&MmrId> {
        self.zone.as_ref()?.at.as_ref().map(|(mmr, _)| mmr)
    }

    async fn enter(
        &mut self,
        why: Departure,
        patience: Duration,
    ) -> Result<(Session, Events), ClientError> {
        let deadline = Instant::now() + patience;
        let before = self.zone.as_ref().and_then(|zone| zone.at.clone());
        let mut failed = before.as_ref().filter(|_| why != Departure::Draining).cloned();
        loop {
            let told = self.ask(failed.as_ref().map(|(mmr, _)| mmr)).await;
            let (error, after) = match told {
                Err(NotNow { error, retry_after: None }) => return Err(error),
                Err(NotNow { error, retry_after: Some(after) }) => (error, after),
                Ok(assignment) => {
                    let at = (assignment.mmr.clone(), assignment.epoch);
                    let stays = before.as_ref() == Some(&at) && why != Departure::Over;
                    let joined = if stays {
                        Err(ClientError::Timeout("the zone, asked for another MMR,"))
                    } else {
                        self.try_join(assignment).await
                    };
                    match joined {
                        Ok(joined) => return Ok(joined),
                        Err(error) if is_final(&error) => return Err(error),
                        Err(error) => {
                            failed = Some(at);
                            (error, wait(limits::ASK_INTERVAL))
                        }
                    }
                }
            };
            if Instant::now() + after > deadline {
                return Err(error);
            }
            tracing::debug!(%error, ?after, "asking the zone again");
            sleep(after).await;
        }
    }

    async fn try_join(&mut self, assignment: Assignment) -> Result<(Session, Events), ClientError> {
        let at = (assignment.mmr.clone(), assignment.epoch);
        let (dialer, token) = self.way_to(assignment)?;
        let joined = Session::open(dialer, &token, self.options.transport).await?;
        if let Some(zone) = &mut self.zone {
            zone.at = Some(at);
        }
        Ok(joined)
    }

    fn way_to(&self, assignment: Assignment) -> Result<(Dialer, Token), ClientError> {
        let JoinOptions { trust, ip, .. } = self.options.clone();
        let dialer = Dialer::assigned(assignment.control, ip, trust)?;
        Ok((dialer, Token::new(assignment.token.0)))
    }

    /// Asks once, and keeps the ticket.
    async fn ask(&mut self, failed: Option<&MmrId>) -> Result<Assignment, NotNow> {
        let nobody = NotNow { error: ClientError::Timeout("the zone"), retry_after: None };
        let zone = self.zone.as_mut().ok_or(nobody)?;
        let assign = Assign {
            meeting: zone.meeting.clone(),
            kinds: zone.kinds.clone(),
            token: zone.pass.clone(),
            attempt: Some(zone.attempt.clone()),
            failed: failed.cloned(),
        };
        let assignment = zone.controllers.ask(&assign).await?;
        zone.pass = assignment.ticket.clone();
        Ok(assignment)
    }
}

fn granted(token: &Token) -> Result<Granted, ClientError> {
    let payload = token.expose().split('.').nth(1);
    let json = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
    let granted = json.and_then(|json| serde_json::from_slice(&json).ok());
    granted.ok_or_else(|| ClientError::Token("it is not a join token".into()))
}

fn random() -> Secret {
    Secret(format!("{:032x}", rand::random::<u128>()))
}

/// Asking for another MMR would not help. One that is full, drains, or believes the participant
/// still there may be another one, or think otherwise, a moment later.
fn is_final(error: &ClientError) -> bool {
    let passing = [ErrorCode::AlreadyJoined, ErrorCode::Draining, ErrorCode::LimitReached];
    matches!(error, ClientError::Refused { code, .. } if !passing.contains(code))
}
