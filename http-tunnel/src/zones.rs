//! Which tokens count, and where each leads: the zones of the configuration.

use crate::config::{Config, Zone as Configured};
use crate::target::Target;
use ::daemon::digest::digest;
use ::daemon::keys::{KeySource, Sources};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use wire::token::{Claims, Ticket, TicketVerifier, TokenError, Verifier, is_ticket, zone_of};

/// All zones, by name.
pub struct Zones(HashMap<String, Zone>);

/// One zone, and what a tunnel may lead to in it.
pub struct Zone {
    sources: Vec<KeySource>,
    tokens: Verifier,
    tickets: TicketVerifier,
    targets: Arc<HashSet<Target>>,
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
    /// Those of the configuration, each with its own of these keys.
    pub fn new(config: &Config, keys: &Sources) -> Self {
        let zone = |zone: &Configured| {
            let targets = Arc::new(zone.targets.iter().cloned().collect());
            (zone.name.clone(), Zone::new(&zone.name, zone.keys.clone(), targets, keys))
        };
        Self(config.zones.iter().map(zone).collect())
    }

    /// The same with other keys.
    pub fn with_keys(&self, keys: &Sources) -> Self {
        let zone = |(name, zone): (&String, &Zone)| {
            let targets = Arc::clone(&zone.targets);
            (name.clone(), Zone::new(name, zone.sources.clone(), targets, keys))
        };
        Self(self.0.iter().map(zone).collect())
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
    fn new(
        name: &str,
        sources: Vec<KeySource>,
        targets: Arc<HashSet<Target>>,
        keys: &Sources,
    ) -> Self {
        let keys = keys.keys_of(&sources);
        Self {
            sources,
            tokens: Verifier::new(&[name], keys.clone()),
            tickets: TicketVerifier::new(name, keys),
            targets,
        }
    }

    /// Whether a tunnel may lead there.
    pub fn leads_to(&self, target: &Target) -> bool {
        self.targets.contains(target)
    }
}
