//! A participant's way into its meeting: straight to one MMR, or to whichever one the zone's controllers name, and from
//! there to the next. Which zone that is, is given or found by [`crate::way`].

use crate::controllers::{Controllers, NotNow, wait};
use crate::dial::{Dialer, Exceptions, MmrDialer, Proxy, ProxyChoice};
use crate::link::ProbeStep;
use crate::options::{ControllerUrl, Destination, JoinOptions};
use crate::session::{Events, Session};
use crate::way::{self, Journal, Phase, Place};
use crate::{ClientError, Token, limits};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::control::{ErrorCode, Secret};
use wire::zone::{Assign, Assignment};
use wire::{Kind, MmrId};

/// A way in. Clones are the same participant's.
#[derive(Clone)]
pub(crate) struct Entry {
    options: JoinOptions,
    journal: Journal,
    /// How MMRs are reached, and controllers.
    dialer: Dialer,
    /// Known when the participant is told, or has found, a zone.
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
        let journal = Journal::new(options.told.clone());
        let direct = Dialer::direct(options.ip, options.trust.clone());
        let dialer = match &options.proxy {
            ProxyChoice::Through(url) => {
                direct.through_proxy(Proxy::new(url.clone(), Exceptions::default()))
            }
            // Only who asks the web infrastructure finds out whether one stands in the way.
            ProxyChoice::None | ProxyChoice::Fallback(..) => direct,
        };
        let zone = match &options.at {
            Destination::Zone { controllers, token } => {
                Some(Zone::new(controllers.clone(), token, dialer.clone())?)
            }
            Destination::Mmr { .. } | Destination::Meeting { .. } => None,
        };
        Ok(Self { options, journal, dialer, zone })
    }

    /// Joins for the first time.
    pub(crate) async fn join(&mut self) -> Result<(Session, Events), ClientError> {
        let joined = self.join_first().await;
        joined.map_err(|error| self.explain(error))
    }

    async fn join_first(&mut self) -> Result<(Session, Events), ClientError> {
        self.find_zone().await?;
        let began = std::time::Instant::now();
        let joined = if self.zone.is_some() {
            self.enter(Departure::Over, limits::ENTRY_DEADLINE).await?
        } else {
            let (dialer, token) = self.way().await?;
            Session::open(dialer, &token, self.options.transport, &self.journal).await?
        };
        self.journal.end_phase(Phase::Mmr, joined.0.way(), began);
        Ok(joined)
    }

    /// Phases 1 and 2, for who has nothing but a meeting's link.
    pub(crate) async fn find_zone(&mut self) -> Result<(), ClientError> {
        let (Destination::Meeting { link, name }, None) = (&self.options.at, &self.zone) else {
            return Ok(());
        };
        let finding = way::find(link, name.as_deref(), &self.options, &self.journal);
        // Named, so that who waits for it on another thread need not look inside.
        let finding: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(finding);
        let found = finding.await?;
        self.zone = Some(Zone::new(found.controllers, &found.token, found.dialer.clone())?);
        self.dialer = found.dialer;
        Ok(())
    }

    /// The same error; when nothing worked, with what was tried, and the page for browsers.
    pub(crate) fn explain(&self, cause: ClientError) -> ClientError {
        match &self.options.at {
            Destination::Meeting { link, .. } if cause.is_unreachable() => {
                let report = Box::new(self.journal.report());
                ClientError::NoWay { link: link.to_string(), cause: Box::new(cause), report }
            }
            _ => cause,
        }
    }

    /// What was done so far.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
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
    pub(crate) async fn way(&mut self) -> Result<(MmrDialer, Token), ClientError> {
        if let Destination::Mmr { at, token } = &self.options.at {
            return Ok((MmrDialer::new(at.clone(), self.dialer.clone())?, token.clone()));
        }
        let assignment = self.ask(None).await.map_err(|not_now| not_now.error)?;
        self.way_to(assignment)
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
        let transport = self.options.transport;
        let joined = Session::open(dialer, &token, transport, &self.journal).await?;
        if let Some(zone) = &mut self.zone {
            zone.at = Some(at);
        }
        Ok(joined)
    }

    fn way_to(&self, assignment: Assignment) -> Result<(MmrDialer, Token), ClientError> {
        let dialer = MmrDialer::assigned(assignment.control, self.dialer.clone())?;
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
        let asked = Instant::now();
        let told = zone.controllers.ask(&assign).await;
        let outcome = match &told {
            Ok(assignment) => Ok(format!("to {}", assignment.mmr)),
            Err(not_now) => Err(not_now.error.to_string()),
        };
        let place = Place::new(Phase::Mmr, zone.controllers.way(), zone.controllers.names());
        self.journal.note(&place, ProbeStep { name: "assign", took: asked.elapsed(), outcome });
        let assignment = told?;
        zone.pass = assignment.ticket.clone();
        // Join tokens are over after minutes; the way through a tunnel must not be.
        self.dialer.show(&zone.pass);
        Ok(assignment)
    }
}

impl Zone {
    fn new(urls: Vec<ControllerUrl>, token: &Token, dialer: Dialer) -> Result<Self, ClientError> {
        let Granted { meeting, kinds } = granted(token)?;
        let controllers = Controllers::new(urls, dialer);
        let pass = Secret(token.expose().to_owned());
        Ok(Self { controllers, meeting, kinds, pass, attempt: random(), at: None })
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
