//! Phase 1: the web infrastructure is asked for the meeting, and whether a proxy stands in the way is found out.
//!
//! Also its end: when a zone has been chosen, the meeting settles there, or says where it is.

use super::journal::{Journal, Place};
use super::link::MeetingLink;
use super::report::{Phase, Way};
use crate::controllers::wait;
use crate::dial::{Dialer, Exceptions, Proxy, ProxyChoice};
use crate::https::{Answer, Https, Origin};
use crate::limits::{
    ASK_INTERVAL, CONTROLLERS_MAX, FOUND_LEN_MAX, LOOKUP_DEADLINE, PROXY_STAGGER, TLS_DEADLINE,
    TUNNELS_MAX, WEB_PATIENCE, WEB_TRIES, ZONES_MAX,
};
use crate::options::ControllerUrl;
use crate::{ClientError, JoinOptions};
use serde::de::DeserializeOwned;
use std::io;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::control::Secret;
use wire::lookup::{Found, LOOKUP_PATH, Lookup, Refusal, SETTLE_PATH, Settled};

/// The web infrastructure, as it can be reached from here.
pub(super) struct Web<'a> {
    link: &'a MeetingLink,
    journal: &'a Journal,
    /// How it was reached: everything else is reached that way.
    pub(super) dialer: Dialer,
}

/// A zone that a meeting can be joined in.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) zone: String,
    /// At least one.
    pub(super) controllers: Vec<ControllerUrl>,
    pub(super) token: Secret,
}

/// What a lookup found.
pub(super) struct Offers {
    /// Best first; at least one.
    pub(super) zones: Vec<Offer>,
    pub(super) tunnels: Vec<Origin>,
}

/// Why a question was not answered as it should be.
enum Unanswered {
    /// Asking again after this may help.
    Later(ClientError, Duration),
    Never(ClientError),
}

impl<'a> Web<'a> {
    /// Finds the way to it: directly, or by the proxy when that is the one that answers.
    pub(super) async fn reach(
        link: &'a MeetingLink,
        options: &JoinOptions,
        journal: &'a Journal,
    ) -> Result<Self, ClientError> {
        let host = &link.origin().target().host;
        let mut left = ways(options, host).into_iter();
        let mut tries = JoinSet::new();
        let mut last = io::Error::other("there is no way to it");
        loop {
            if let Some(dialer) = left.next() {
                let (journal, origin) = (journal.clone(), link.origin().clone());
                tries.spawn(async move {
                    let place =
                        Place::new(Phase::Lookup, dialer.way_to(&origin.target().host), &origin);
                    let opening = Https::open(&dialer, &origin);
                    journal
                        .step(&place, "connect", TLS_DEADLINE, opening, |_| String::new())
                        .await?;
                    Ok::<_, io::Error>(dialer)
                });
            }
            // Directly first: a proxy that is not in the way is left out of it.
            let tried = tokio::select! {
                tried = tries.join_next() => tried,
                () = sleep(PROXY_STAGGER), if left.len() > 0 => continue,
            };
            match tried {
                Some(Ok(Ok(dialer))) => return Ok(Self { link, journal, dialer }),
                Some(Ok(Err(error))) => last = error,
                Some(Err(_panicked)) => {}
                None => return Err(unreachable(link, &last)),
            }
        }
    }

    /// What its passcode tells of the meeting.
    pub(super) async fn look_up(&self, name: Option<&str>) -> Result<Offers, ClientError> {
        let lookup = Lookup {
            meeting: self.link.number().to_owned(),
            passcode: self.link.passcode().clone(),
            name: name.map(str::to_owned),
        };
        let json = serde_json::to_vec(&lookup).expect("lookups are plain data");
        let question = Question {
            phase: Phase::Lookup,
            name: "lookup",
            path: LOOKUP_PATH,
            json,
            bearer: None,
        };
        let found: Found = self.ask(&question).await?;
        let offers = offers(found);
        if offers.zones.is_empty() {
            return Err(ClientError::NoZone("the web infrastructure offers none that can be used"));
        }
        Ok(offers)
    }

    /// Settles the meeting in the zone of this token, unless it is in another one already: in which it is.
    pub(super) async fn settle(&self, token: &Secret) -> Result<String, ClientError> {
        let (path, json, bearer) = (SETTLE_PATH, Vec::new(), Some(token));
        let question = Question { phase: Phase::Zone, name: "settle", path, json, bearer };
        self.ask(&question).await.map(|settled: Settled| settled.zone)
    }

    /// What the web infrastructure is reached through.
    pub(super) fn way(&self) -> Way {
        self.dialer.way_to(&self.link.origin().target().host)
    }

    /// The same question until it is answered, or asking again makes no sense.
    async fn ask<T: Told>(&self, question: &Question<'_>) -> Result<T, ClientError> {
        let deadline = Instant::now() + LOOKUP_DEADLINE;
        let mut failures = 0;
        loop {
            let (error, after) = match self.ask_once(question).await {
                Ok(told) => return Ok(told),
                Err(Unanswered::Never(error)) => return Err(error),
                Err(Unanswered::Later(error, after)) => (error, after),
            };
            failures += u32::from(error.is_unreachable());
            if failures == WEB_TRIES || Instant::now() + after > deadline {
                return Err(error);
            }
            sleep(after).await;
        }
    }

    /// On a connection of its own: passcodes are checked slowly, zones measured in between.
    async fn ask_once<T: Told>(&self, question: &Question<'_>) -> Result<T, Unanswered> {
        let Question { phase, name, path, json, bearer } = question;
        let place = Place::new(*phase, self.way(), self.link.origin());
        let mut refusal = None;
        let asked = async {
            let mut https = Https::open(&self.dialer, self.link.origin()).await?;
            let answer = https.post(path, json.clone(), *bearer, FOUND_LEN_MAX).await?;
            match read(&answer)? {
                Ok(told) => Ok(told),
                Err(refused) => {
                    let words = format!("{} ({:?})", refused.message, refused.code);
                    refusal = Some(refused);
                    Err(io::Error::other(words))
                }
            }
        };
        let asked = self.journal.step(&place, name, WEB_PATIENCE, asked, T::describe).await;
        asked.map_err(|cause| match refusal {
            None => Unanswered::Later(unreachable(self.link, &cause), wait(ASK_INTERVAL)),
            Some(refusal) => refused(refusal),
        })
    }
}

/// Something the web infrastructure is asked.
struct Question<'a> {
    phase: Phase,
    name: &'static str,
    path: &'static str,
    json: Vec<u8>,
    bearer: Option<&'a Secret>,
}

/// What it answers.
trait Told: DeserializeOwned {
    /// For people.
    fn describe(&self) -> String;
}

impl Told for Found {
    fn describe(&self) -> String {
        let (zones, tunnels) = (self.zones.len(), self.tunnels.len());
        format!("as {}: {zones} zones, {tunnels} tunnels", self.participant)
    }
}

impl Told for Settled {
    fn describe(&self) -> String {
        format!("in {}", self.zone)
    }
}

/// Directly, if that may be tried, then by the proxy, if there may be one.
fn ways(options: &JoinOptions, host: &str) -> Vec<Dialer> {
    let direct = Dialer::direct(options.ip, options.trust.clone());
    match &options.proxy {
        ProxyChoice::None => vec![direct],
        ProxyChoice::Through(url) => {
            vec![direct.through_proxy(Proxy::new(url.clone(), Exceptions::default()))]
        }
        ProxyChoice::Fallback(url, exceptions) => {
            let proxy = Proxy::new(url.clone(), exceptions.clone());
            if !proxy.serves(host) {
                return vec![direct];
            }
            vec![direct.clone(), direct.through_proxy(proxy)]
        }
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> io::Result<Result<T, Refusal>> {
    if answer.is_success() {
        return serde_json::from_slice(&answer.body).map(Ok).map_err(io::Error::other);
    }
    serde_json::from_slice(&answer.body).map(Err).map_err(|_| {
        let words = format!("it answers {}; is it the web infrastructure?", answer.status);
        io::Error::other(words)
    })
}

fn refused(Refusal { code, message, retry_after_ms }: Refusal) -> Unanswered {
    let error = ClientError::LookupRefused { code, message };
    match retry_after_ms {
        None => Unanswered::Never(error),
        Some(ms) => Unanswered::Later(error, wait(Duration::from_millis(ms).max(ASK_INTERVAL))),
    }
}

fn unreachable(link: &MeetingLink, cause: &io::Error) -> ClientError {
    ClientError::Web { origin: link.origin().to_string(), cause: cause.to_string() }
}

/// What of an answer can be used. URLs that can't be asked are passed over.
fn offers(found: Found) -> Offers {
    let zones = found.zones.into_iter().take(ZONES_MAX).filter_map(|offer| {
        let urls = offer.controllers.iter().filter_map(|url| url.parse::<ControllerUrl>().ok());
        let controllers: Vec<_> = urls.take(CONTROLLERS_MAX).collect();
        let usable = !controllers.is_empty();
        usable.then_some(Offer { zone: offer.zone, controllers, token: offer.token })
    });
    let tunnels = found.tunnels.iter().filter_map(|url| url.parse().ok());
    Offers { zones: zones.collect(), tunnels: tunnels.take(TUNNELS_MAX).collect() }
}
