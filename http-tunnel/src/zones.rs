//! Which tokens count, and where each leads: the zones of the configuration.

use crate::config::{Config, Zone as Configured};
use crate::target::Target;
use ::daemon::credential::{CredentialError, text};
use ::daemon::digest::digest;
use std::collections::{HashMap, HashSet};
use wire::token::{
    Claims, KeyError, Ticket, TicketVerifier, TokenError, Verifier, is_ticket, zone_of,
};

/// All zones, by name.
pub struct Zones(HashMap<String, Zone>);

/// One zone, and what a tunnel may lead to in it.
pub struct Zone {
    tokens: Verifier,
    tickets: TicketVerifier,
    targets: HashSet<Target>,
}

/// Who shows a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its zone.
    pub zone: String,
    /// Which participant of which meeting: all its tokens and tickets are counted together, so that a
    /// new token is no new allowance.
    pub participant: [u8; 32],
    /// When its token ends, Unix seconds.
    pub until_s: u64,
}

impl Zones {
    /// Reads the keys of every zone.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn load(config: &Config) -> Result<Self, CredentialError> {
        config
            .zones
            .iter()
            .map(|zone| Ok((zone.name.clone(), Zone::load(zone)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Who shows this, and the zone it is for.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn check(&self, token: &str, now_s: u64) -> Result<(Holder, &Zone), TokenError> {
        // What the token says of itself decides no more than whose keys it is checked with.
        let name = zone_of(token).ok_or(TokenError::Malformed)?;
        let zone = self.0.get(&name).ok_or(TokenError::Forged)?;
        let (meeting, sub, until_s) = if is_ticket(token) {
            let Ticket { meeting, sub, exp, .. } = zone.tickets.verify(token, now_s)?;
            (meeting, sub, exp)
        } else {
            let Claims { meeting, sub, exp, .. } = zone.tokens.verify(token, now_s)?;
            (meeting, sub, exp)
        };
        // Each name has its length in front: no two participants are written the same.
        let mut text = Vec::new();
        for part in [&name, &meeting, &sub] {
            text.extend_from_slice(&part.len().to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        Ok((Holder { zone: name, participant: digest(&text), until_s }, zone))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Everything that is led to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.0.values().flat_map(|zone| zone.targets.iter())
    }
}

impl Zone {
    fn load(zone: &Configured) -> Result<Self, CredentialError> {
        let jwks = text("zones.keys", &zone.keys)?;
        let wrong = |cause: KeyError| CredentialError {
            key: "zones.keys",
            reason: format!("{} can't be used: {cause}", zone.keys.display()),
            remedy:
                "Write the public keys as JWKS: Ed25519 keys (RFC 8037), each with its own kid."
                    .into(),
        };
        Ok(Self {
            tokens: Verifier::from_jwks(&zone.name, &jwks).map_err(wrong)?,
            tickets: TicketVerifier::from_jwks(&zone.name, &jwks).map_err(wrong)?,
            targets: zone.targets.iter().cloned().collect(),
        })
    }

    /// Whether a tunnel may lead there.
    pub fn leads_to(&self, target: &Target) -> bool {
        self.targets.contains(target)
    }
}
