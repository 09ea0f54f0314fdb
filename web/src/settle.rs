//! Where a meeting is: in one zone, or its participants would not meet.
//!
//! Clients measure zones and choose. The first to settle decides for all; the others are told, and
//! everybody who looks the meeting up later is offered that zone alone. It stays there until none of
//! the zone's controllers has answered for a while (then the next to settle moves it: one answer that was
//! lost must not), or nobody has settled for long.

use crate::limits::{SETTLE_TRIES, SETTLED_AGAIN};
use crate::lookup::{SOON, Web, now_s};
use crate::store::{Meeting, Move};
use ::daemon::answer::later;
use ::daemon::server::network;
use ::daemon::unix_now_s;
use std::net::IpAddr;
use wire::lookup::{Refusal, RefusalCode, Settled};
use wire::token::{Claims, TokenError};

impl Web {
    /// The zone a meeting is in, unless that is long forgotten.
    pub(crate) fn home<'a>(&self, meeting: &'a Meeting, now_s: i64) -> Option<&'a str> {
        let home = meeting.home.as_ref()?;
        (home.settled_s >= now_s.saturating_sub(self.zone_kept_s)).then_some(&*home.zone)
    }

    /// Settles the meeting of a join token in the token's zone, or says where it is already.
    pub(crate) async fn settle(&self, token: &str, from: IpAddr) -> Result<Settled, Refusal> {
        let claims = self.check_token(token, from)?;
        for _ in 0..SETTLE_TRIES {
            let found =
                self.store.find(&claims.meeting).await.map_err(|error| self.lost(&error))?;
            let Some(meeting) = found.filter(|meeting| meeting.ended_s.is_none()) else {
                let message = "The meeting has ended.";
                return Err(Refusal::new(RefusalCode::NoSuchMeeting, message));
            };
            if let Some(settled) = self.try_settle(&meeting, &claims.aud).await? {
                return Ok(settled);
            }
        }
        let message = "The meeting moves between zones. Ask again.";
        Err(later(RefusalCode::Unavailable, message, SOON))
    }

    /// `None` when the meeting changed meanwhile.
    async fn try_settle(&self, meeting: &Meeting, wish: &str) -> Result<Option<Settled>, Refusal> {
        let now_s = now_s();
        let home = self.home(meeting, now_s);
        let (to, outcome) = match home {
            None => (wish, "new"),
            Some(home) if home == wish => (home, "kept"),
            // A zone that answers neither is no better: the meeting stays where people may still be.
            Some(home) if self.zones.unless_lost(home).is_some() || !self.zones.answers(wish) => {
                (home, "elsewhere")
            }
            Some(_) => (wish, "moved"),
        };
        let settled_s = meeting.home.as_ref().map_or(i64::MIN, |home| home.settled_s);
        let is_known = home == Some(to) && now_s.saturating_sub(settled_s) < again_s();
        if !is_known {
            let from = home.unwrap_or_default();
            let forgotten_s = now_s.saturating_sub(self.zone_kept_s);
            let asked = Move { number: &meeting.number, from, to, now_s, forgotten_s };
            if !self.store.settle(asked).await.map_err(|error| self.lost(&error))? {
                return Ok(None);
            }
        }
        self.counts.settled(outcome);
        Ok(Some(Settled { zone: to.to_owned() }))
    }

    /// What a join token says that was made here; wrong ones count as guesses.
    fn check_token(&self, token: &str, from: IpAddr) -> Result<Claims, Refusal> {
        let address = network(from);
        self.guesses.take_from(address, self.uptime()).map_err(|wait| {
            later(RefusalCode::TooFast, "Too many wrong tokens or passcodes. Wait.", wait)
        })?;
        let checked = self.credentials().verifier.verify(token, unix_now_s());
        if matches!(checked, Ok(_) | Err(TokenError::Expired)) {
            self.guesses.give_back_to(address);
        }
        checked.map_err(refused_token)
    }
}

fn again_s() -> i64 {
    i64::try_from(SETTLED_AGAIN.as_secs()).unwrap_or(i64::MAX)
}

fn refused_token(error: TokenError) -> Refusal {
    let (code, message) = match error {
        TokenError::Expired => (
            RefusalCode::TokenExpired,
            "The token's time is over. Look the meeting up again; if the new one fails too, compare the clocks.",
        ),
        TokenError::TooLong | TokenError::Malformed => (
            RefusalCode::BadToken,
            "Send the chosen zone's join token, as the lookup told it, as Authorization: Bearer.",
        ),
        TokenError::UnknownKey | TokenError::Forged => (
            RefusalCode::BadToken,
            "The token was not made here, or for a zone that is no longer here. Look the meeting up again.",
        ),
    };
    Refusal::new(code, message)
}
