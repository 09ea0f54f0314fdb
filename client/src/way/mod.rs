//! From a meeting's link to a zone: the first two phases of a participant's way in.
//!
//! ```text
//!  phase 1  lookup    web infrastructure, directly or by the proxy ──▶ zones, controllers, tokens, tunnels
//!  phase 2  zone      all controllers at once ──▶ the best zone; no controller: all tunnels at once ──▶ the first
//!                     settle with the web infrastructure: a meeting is in one zone
//!  phases 3 and 4 are those of whoever knows a zone: crate::entry, crate::link
//! ```

mod choice;
mod journal;
mod link;
mod lookup;
mod probe;
mod report;
#[cfg(test)]
mod tests;
mod tunnels;

pub(crate) use journal::{Journal, Place};
pub use link::MeetingLink;
pub use report::{KindWay, Phase, PhaseReport, StepSink, TraceStep, Way, WayReport};

use crate::dial::{Dialer, Tunnels};
use crate::https::Origin;
use crate::limits::LOOKUPS_MAX;
use crate::options::ControllerUrl;
use crate::{ClientError, JoinOptions, Token};
use lookup::{Offer, Offers, Web};
use probe::{Chosen, Contender, Depth, choose};
use std::time::Instant;

/// A zone, and how it is reached.
pub(crate) struct WayIn {
    pub(crate) controllers: Vec<ControllerUrl>,
    pub(crate) token: Token,
    pub(crate) dialer: Dialer,
}

/// Phases 1 and 2.
///
/// # Errors
/// Nobody can be reached, or the web infrastructure refuses.
pub(crate) async fn find(
    link: &MeetingLink,
    name: Option<&str>,
    options: &JoinOptions,
    journal: &Journal,
) -> Result<WayIn, ClientError> {
    let began = Instant::now();
    let web = Web::reach(link, options, journal).await?;
    let mut offers = web.look_up(name).await?;
    journal.end_phase(Phase::Lookup, web.way(), began);
    journal.learn(|report| report.proxy = web.dialer.proxy_name(&link.origin().target().host));
    let began = Instant::now();
    for _ in 0..LOOKUPS_MAX {
        let reached = Reached::best(&web.dialer, &offers, journal).await?;
        let settled = web.settle(&offers.zones[reached.zone].token).await?;
        let at = offers.zones.iter().position(|offer| offer.zone == settled);
        let Some(at) = at else {
            // It moved, or settled, where this participant has no token for.
            offers = web.look_up(name).await?;
            continue;
        };
        let dialer = reached.lead_to(at, &web.dialer, &offers, journal).await?;
        let Offer { zone, controllers, token } = offers.zones.swap_remove(at);
        journal.end_phase(
            Phase::Zone,
            dialer.way_to(&controllers[0].origin().target().host),
            began,
        );
        journal.learn(|report| {
            report.zone = Some(zone);
            report.tunnel = dialer.tunnel_name();
        });
        return Ok(WayIn { controllers, token: Token::new(token.0), dialer });
    }
    Err(ClientError::NoZone("the meeting is in a zone that is not offered"))
}

/// A zone that can be reached, and what else was learned when it was looked for.
struct Reached {
    zone: usize,
    /// Zones of which a controller answered without a tunnel.
    answered: Vec<usize>,
    tunnel: Option<tunnels::First>,
}

impl Reached {
    /// The best zone; by a tunnel, if none can be reached without.
    async fn best(
        dialer: &Dialer,
        offers: &Offers,
        journal: &Journal,
    ) -> Result<Self, ClientError> {
        let zones: Vec<_> = offers
            .zones
            .iter()
            .enumerate()
            .map(|(at, offer)| Contender { at, offer: offer.clone(), dialer: dialer.clone() })
            .collect();
        let Chosen { best, answered } = choose(&zones, Depth::Measure, journal).await;
        if let Some(zone) = best {
            return Ok(Self { zone, answered, tunnel: None });
        }
        let names: Vec<&str> = offers.zones.iter().map(|offer| offer.zone.as_str()).collect();
        let first = tunnels::first(dialer, &offers.tunnels, &names, journal).await;
        let Some(first) = first else {
            return Err(ClientError::NoZone("no controller answers, and no tunnel leads to one"));
        };
        let led = |zone: &Contender| first.zones.contains(&zone.offer.zone);
        let inside: Vec<_> = zones
            .into_iter()
            .filter(led)
            .map(|zone| {
                let dialer = inside(dialer, &first.tunnel, offers, &zone.offer);
                Contender { dialer, ..zone }
            })
            .collect();
        let zone = match inside.as_slice() {
            // Nothing to choose: its controllers are asked soon enough.
            [only] => Some(only.at),
            several => choose(several, Depth::Ping, journal).await.best,
        };
        let none = "no controller answers, not through a tunnel either";
        let zone = zone.ok_or(ClientError::NoZone(none))?;
        Ok(Self { zone, answered, tunnel: Some(first) })
    }

    /// How the zone is reached in which the meeting is: the best one, or another.
    async fn lead_to(
        self,
        zone: usize,
        dialer: &Dialer,
        offers: &Offers,
        journal: &Journal,
    ) -> Result<Dialer, ClientError> {
        if self.answered.contains(&zone) {
            return Ok(dialer.clone());
        }
        let offer = &offers.zones[zone];
        let first = match self.tunnel {
            Some(first) if first.zones.contains(&offer.zone) => Some(first),
            // It was not the best, so nobody waited for its answer.
            None if answers(zone, dialer, offer, journal).await => return Ok(dialer.clone()),
            _ => tunnels::first(dialer, &offers.tunnels, &[&offer.zone], journal).await,
        };
        let none = "the meeting is in a zone that can't be reached, not through a tunnel either";
        let first = first.ok_or(ClientError::NoZone(none))?;
        Ok(inside(dialer, &first.tunnel, offers, offer))
    }
}

/// Whether a controller of the zone answers without a tunnel.
async fn answers(zone: usize, dialer: &Dialer, offer: &Offer, journal: &Journal) -> bool {
    let only = Contender { at: zone, offer: offer.clone(), dialer: dialer.clone() };
    choose(&[only], Depth::Ping, journal).await.best.is_some()
}

/// Through this tunnel to a zone; through others when that ends.
fn inside(dialer: &Dialer, first: &Origin, offers: &Offers, offer: &Offer) -> Dialer {
    let others = offers.tunnels.iter().filter(|one| *one != first).cloned().collect();
    dialer.through_tunnels(Tunnels::new(first.clone(), others, offer.token.clone()))
}
