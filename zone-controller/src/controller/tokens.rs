//! Join tokens and tickets in, join tokens and tickets out.

use super::refusal;
use crate::credentials::Credentials;
use crate::limits::TOKEN_LIFETIME_S;
use wire::control::Secret;
use wire::limits::NAME_LEN_MAX;
use wire::token::{Claims, Ticket, TokenError, is_ticket};
use wire::zone::{Assign, Refusal, RefusalCode};

/// Who asks, and what for.
pub(super) struct Asker {
    /// What the token, or the ticket, grants. The id is the token's own.
    pub(super) claims: Claims,
    /// Whether a join token was shown, which is used up then.
    pub(super) with_token: bool,
    /// Random for who does not name its attempts.
    pub(super) attempt: String,
}

impl Asker {
    /// Checks what a client shows, and that it allows what the client wants.
    pub(super) fn check(
        credentials: &Credentials,
        zone: &str,
        assign: &Assign,
        now_s: u64,
    ) -> Result<Self, Refusal> {
        let attempt = assign.attempt.as_ref().map_or("-", |attempt| attempt.0.as_str());
        if !(1..=NAME_LEN_MAX).contains(&attempt.len()) {
            let message = "attempt has 1 to 64 bytes.";
            return Err(refusal(RefusalCode::BadRequest, message));
        }
        let with_token = !is_ticket(&assign.token);
        let claims = if with_token {
            credentials.verifier.verify(&assign.token, now_s).map_err(refused_token)?
        } else {
            let ticket = credentials.tickets.verify(&assign.token, now_s);
            granted(ticket.map_err(refused_token)?, zone)
        };
        if claims.meeting != assign.meeting {
            let message = "The token is for another meeting.";
            return Err(refusal(RefusalCode::NotAllowed, message));
        }
        if assign.kinds.is_empty() || assign.kinds.len() > wire::Kind::ALL.len() {
            let message = "kinds lists one to three of audio, video and content.";
            return Err(refusal(RefusalCode::BadRequest, message));
        }
        if !assign.kinds.iter().all(|kind| claims.kinds.contains(kind)) {
            let message = "The token does not allow all of these kinds.";
            return Err(refusal(RefusalCode::NotAllowed, message));
        }
        let attempt = match &assign.attempt {
            Some(attempt) => attempt.0.clone(),
            None => random_id(),
        };
        Ok(Self { claims, with_token, attempt })
    }

    /// The join token and the ticket of an assignment.
    pub(super) fn exchange(
        &self,
        credentials: &Credentials,
        assign: &Assign,
        now_s: u64,
        ticket_lifetime_s: u64,
    ) -> (Secret, Secret) {
        let token = Claims {
            kinds: assign.kinds.clone(),
            iat: now_s,
            exp: now_s + TOKEN_LIFETIME_S,
            jti: random_id(),
            ..self.claims.clone()
        };
        let ticket = Ticket::of(&self.claims, now_s, ticket_lifetime_s);
        (Secret(credentials.signer.sign(&token)), Secret(credentials.signer.sign_ticket(&ticket)))
    }
}

/// A ticket grants what the token it was given for granted.
fn granted(ticket: Ticket, zone: &str) -> Claims {
    Claims {
        aud: zone.to_owned(),
        meeting: ticket.meeting,
        sub: ticket.sub,
        role: ticket.role,
        kinds: ticket.kinds,
        iat: ticket.iat,
        exp: ticket.exp,
        jti: String::new(),
    }
}

fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn refused_token(error: TokenError) -> Refusal {
    let (code, message) = match error {
        TokenError::Expired => (
            RefusalCode::TokenExpired,
            "The token's time is over, or not yet come, or too long. Ask the web infrastructure for a new one; if \
             that one fails too, compare the clocks.",
        ),
        TokenError::TooLong => (RefusalCode::BadToken, "The token is longer than 2048 bytes."),
        TokenError::Malformed => (
            RefusalCode::BadToken,
            "The token is neither a join token nor a ticket: a JWT with the header alg EdDSA and a kid.",
        ),
        TokenError::UnknownKey => (
            RefusalCode::BadToken,
            "No key of this zone has the token's kid. Was it made for another zone, or with a key that was retired?",
        ),
        TokenError::Forged => {
            (RefusalCode::BadToken, "The token was not signed by this zone, or is for another one.")
        }
    };
    refusal(code, message)
}
