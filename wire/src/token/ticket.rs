//! Tickets: with one a participant asks its zone again after its join token was used.
//!
//! A zone's controllers sign them and nobody else takes them: their audience is not the zone's.

use super::{Claims, KeyError, PublicKeys, Role, TokenError};
use crate::Kind;
use crate::limits::{TICKET_LIFETIME_S_MAX, TOKEN_LEN_MAX};
use jsonwebtoken::Validation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `typ` of a ticket's header.
pub const TICKET_TYPE: &str = "mmr-ticket+jwt";

/// What a ticket says. May be shown any number of times until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    /// The zone's name with `/tickets` behind it.
    pub aud: String,
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting: String,
    /// The participant.
    #[schemars(length(min = 1, max = 64))]
    pub sub: String,
    /// What it may do.
    pub role: Role,
    /// The kinds it may connect.
    pub kinds: Vec<Kind>,
    /// Issued at, Unix seconds.
    pub iat: u64,
    /// Ends at, Unix seconds.
    pub exp: u64,
}

impl Ticket {
    /// For the holder of a join token.
    pub fn of(claims: &Claims, now_s: u64, lifetime_s: u64) -> Self {
        Self {
            aud: audience(&claims.aud),
            meeting: claims.meeting.clone(),
            sub: claims.sub.clone(),
            role: claims.role,
            kinds: claims.kinds.clone(),
            iat: now_s,
            exp: now_s.saturating_add(lifetime_s.min(TICKET_LIFETIME_S_MAX)),
        }
    }
}

fn audience(zone: &str) -> String {
    format!("{zone}{AUDIENCE_SUFFIX}")
}

const AUDIENCE_SUFFIX: &str = "/tickets";

/// Whether this says of itself that it is a ticket; nothing is proved by it.
pub fn is_ticket(token: &str) -> bool {
    token.len() <= TOKEN_LEN_MAX
        && jsonwebtoken::decode_header(token)
            .is_ok_and(|header| header.typ.as_deref() == Some(TICKET_TYPE))
}

/// The zone that a join token or a ticket says of itself it is for; nothing is proved by it.
pub fn zone_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Audience {
        aud: String,
    }
    if token.len() > TOKEN_LEN_MAX {
        return None;
    }
    let Audience { aud } = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    if is_ticket(token) { aud.strip_suffix(AUDIENCE_SUFFIX).map(str::to_owned) } else { Some(aud) }
}

/// Checks tickets against the public keys of a zone's controllers.
pub struct TicketVerifier {
    keys: PublicKeys,
    validation: Validation,
}

impl TicketVerifier {
    /// For one zone's tickets, signed with any of these keys.
    pub fn new(zone: &str, keys: PublicKeys) -> Self {
        Self { keys, validation: super::validation(&[&audience(zone)]) }
    }

    /// The same with the keys of one JWKS document.
    pub fn from_jwks(zone: &str, jwks: &str) -> Result<Self, KeyError> {
        Ok(Self::new(zone, PublicKeys::from_jwks(jwks)?))
    }

    /// Size, header, signature, audience, times (Unix seconds, 5 s of leeway).
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Ticket, TokenError> {
        let (typ, ticket) = super::open::<Ticket>(&self.keys, &self.validation, token)?;
        if typ.as_deref() != Some(TICKET_TYPE) {
            return Err(TokenError::Malformed);
        }
        super::fit(&[&ticket.meeting, &ticket.sub])?;
        super::check_times(ticket.iat, ticket.exp, TICKET_LIFETIME_S_MAX, now_s)?;
        Ok(ticket)
    }
}
