//! What the web infrastructure does: keeps meetings, and tells who has a passcode how to get in.

use crate::config::{Config, Zone};
use crate::credentials::Credentials;
use crate::guesses::Guesses;
use crate::limits::NUMBER_TRIES;
use crate::metrics::Counts;
use crate::passcodes::{Busy, Passcodes, generate};
use crate::places::distance_km;
use crate::store::{Meeting, Store, StoreError};
use crate::zones::Zones;
use ::daemon::answer::later;
use ::daemon::server::network;
use ::daemon::unix_now_s;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use wire::Kind;
use wire::control::Secret;
use wire::lookup::{
    Created, Found, LINK_PATH, Lookup, MEETINGS_MAX, MeetingState, Meetings, NUMBER_LEN,
    NewMeeting, Order, PASSCODE_LEN_MAX, PASSCODE_LEN_MIN, Refusal, RefusalCode, TITLE_LEN_MAX,
    WISH_LEN_MAX, ZoneOffer, is_number, is_plain,
};
use wire::token::{Claims, Role, Signer};

/// When asking again makes sense, after something that should pass.
pub(crate) const SOON: Duration = Duration::from_secs(2);

/// One instance's state.
pub struct Web {
    url: String,
    tunnels: Vec<String>,
    token_lifetime_s: u64,
    pub(crate) zone_kept_s: i64,
    pub(crate) store: Store,
    passcodes: Passcodes,
    pub(crate) guesses: Guesses,
    pub(crate) zones: Zones,
    credentials: RwLock<Arc<Credentials>>,
    started: Instant,
    pub(crate) counts: Counts,
}

impl Web {
    pub(crate) fn new(
        config: &Config,
        credentials: Credentials,
        store: Store,
        zones: Zones,
    ) -> Self {
        let limits = &config.limits;
        Self {
            url: config.url.clone(),
            tunnels: config.tunnels.clone(),
            token_lifetime_s: config.token_lifetime.as_secs(),
            zone_kept_s: i64::try_from(config.zone_kept.as_secs()).unwrap_or(i64::MAX),
            store,
            passcodes: Passcodes::new(),
            guesses: Guesses::new(limits.guesses_per_meeting, limits.guesses_per_address),
            zones,
            credentials: RwLock::new(Arc::new(credentials)),
            started: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// Looks a meeting up for a client at this address.
    pub(crate) async fn look_up(&self, lookup: &Lookup, from: IpAddr) -> Result<Found, Refusal> {
        check_lookup(lookup)?;
        let address = network(from);
        self.guesses.take(&lookup.meeting, address, self.started.elapsed()).map_err(|wait| {
            later(
                RefusalCode::TooFast,
                "Too many wrong passcodes. Wait, and look at it again.",
                wait,
            )
        })?;
        let opened = self.open(lookup).await;
        if !matches!(opened, Ok(None)) {
            self.guesses.give_back(&lookup.meeting, address);
        }
        let Some(meeting) = opened? else {
            self.counts.looked_up("refused");
            let message = "There is no such meeting, or it has ended, or the passcode is another.";
            return Err(Refusal::new(RefusalCode::NoSuchMeeting, message));
        };
        self.way_in(meeting, lookup, from)
    }

    /// The meeting, if there is one and the passcode is its: the same work, whether or not.
    async fn open(&self, lookup: &Lookup) -> Result<Option<Meeting>, Refusal> {
        let meeting = self.store.find(&lookup.meeting).await.map_err(|error| self.lost(&error))?;
        let open = meeting.filter(|meeting| meeting.ended_s.is_none());
        let kept = open.as_ref().map(|meeting| meeting.passcode.clone());
        let right = self.passcodes.check(lookup.passcode.0.clone(), kept).await.map_err(busy)?;
        Ok(open.filter(|_| right))
    }

    /// Which zones, in which order, with which tokens.
    fn way_in(&self, meeting: Meeting, lookup: &Lookup, from: IpAddr) -> Result<Found, Refusal> {
        let credentials = self.credentials();
        let place = credentials.places.of(from);
        let home = self.home(&meeting, now_s()).and_then(|home| self.zones.unless_lost(home));
        let mut zones: Vec<_> = match home {
            Some(home) => vec![home],
            None => self.zones.answering().collect(),
        };
        if zones.is_empty() {
            self.counts.looked_up("no_zone");
            return Err(later(RefusalCode::NoZone, "No zone can be joined now.", SOON));
        }
        let far = |zone: &Zone| match (place, zone.place) {
            (Some(place), Some(there)) => Some(distance_km(place, there)),
            _ => None,
        };
        // Zones without a place come last, as they are listed: the sort is stable.
        let by_distance = zones.iter().any(|(zone, _)| far(zone).is_some());
        if by_distance {
            let key = |zone: &Zone| far(zone).unwrap_or(f64::MAX);
            zones.sort_by(|(one, _), (other, _)| key(one).total_cmp(&key(other)));
        }
        let wish = lookup.name.as_deref().unwrap_or("guest");
        let participant = format!("{wish}-{:08x}", rand::random::<u32>());
        let offer = |(zone, controllers): (&Zone, Vec<String>)| {
            let (token, token_until_s) =
                self.token(credentials.signer(), &zone.name, &meeting.number, &participant);
            let distance_km = far(zone).map(rounded);
            ZoneOffer { zone: zone.name.clone(), controllers, token, token_until_s, distance_km }
        };
        let zones = zones.into_iter().map(offer).collect();
        self.counts.looked_up("found");
        Ok(Found {
            zones,
            order: if by_distance { Order::Distance } else { Order::Configured },
            participant,
            meeting: meeting.number,
            title: meeting.title,
            tunnels: self.tunnels.clone(),
        })
    }

    fn token(
        &self,
        signer: &Signer,
        zone: &str,
        meeting: &str,
        participant: &str,
    ) -> (Secret, u64) {
        let now_s = unix_now_s();
        let claims = Claims {
            aud: zone.to_owned(),
            meeting: meeting.to_owned(),
            sub: participant.to_owned(),
            role: Role::Attendee,
            kinds: Kind::ALL.to_vec(),
            iat: now_s,
            exp: now_s + self.token_lifetime_s,
            jti: format!("{:032x}", rand::random::<u128>()),
        };
        (Secret(signer.sign(&claims)), claims.exp)
    }

    /// Keeps a new meeting.
    pub(crate) async fn create(&self, asked: &NewMeeting) -> Result<Created, Refusal> {
        if asked.title.is_empty() || asked.title.len() > TITLE_LEN_MAX {
            return Err(bad("title has 1 to 200 bytes."));
        }
        let passcode = match &asked.passcode {
            Some(passcode) if is_passcode(passcode) && is_plain(passcode) => passcode.0.clone(),
            Some(_) => {
                return Err(bad(
                    "passcode has 6 to 64 letters, digits, dots, underscores and hyphens.",
                ));
            }
            None => generate(),
        };
        let kept = self.passcodes.hash(passcode.clone()).await.map_err(busy)?;
        for _ in 0..NUMBER_TRIES {
            let meeting = Meeting {
                number: new_number(),
                title: asked.title.clone(),
                passcode: kept.clone(),
                created_s: now_s(),
                ended_s: None,
                home: None,
            };
            if self.store.create(&meeting).await.map_err(|error| self.lost(&error))? {
                self.counts.meetings("created");
                let link = format!("{}{LINK_PATH}{}#{passcode}", self.url, meeting.number);
                return Ok(Created {
                    meeting: meeting.number,
                    passcode: Secret(passcode),
                    link: Secret(link),
                });
            }
        }
        Err(later(RefusalCode::Unavailable, "No number was free. Try again.", SOON))
    }

    /// Meetings behind this number.
    pub(crate) async fn list(&self, after: &str) -> Result<Meetings, Refusal> {
        if !after.is_empty() && !is_number(after) {
            return Err(bad("after is a meeting's number."));
        }
        let most = i64::try_from(MEETINGS_MAX + 1).unwrap_or(i64::MAX);
        let mut found = self.store.list(after, most).await.map_err(|error| self.lost(&error))?;
        let more = found.len() > MEETINGS_MAX;
        found.truncate(MEETINGS_MAX);
        let next = found.last().filter(|_| more).map(|last| last.number.clone());
        let seconds = |s: i64| u64::try_from(s).unwrap_or(0);
        let state = |meeting: Meeting| MeetingState {
            meeting: meeting.number,
            title: meeting.title,
            created_s: seconds(meeting.created_s),
            ended_s: meeting.ended_s.map(seconds),
        };
        Ok(Meetings { meetings: found.into_iter().map(state).collect(), next })
    }

    /// From now on nobody can look it up.
    pub(crate) async fn end(&self, number: &str) -> Result<(), Refusal> {
        let known = is_number(number)
            && self.store.end(number, now_s()).await.map_err(|error| self.lost(&error))?;
        if !known {
            return Err(Refusal::new(RefusalCode::NotFound, "There is no such meeting."));
        }
        self.counts.meetings("ended");
        Ok(())
    }

    /// The public keys of join tokens, as JWKS.
    pub(crate) fn keys(&self) -> String {
        wire::token::public_jwks(&self.credentials().signers)
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace_credentials(&self, credentials: Credentials) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    pub(crate) fn lost(&self, error: &StoreError) -> Refusal {
        self.counts.store_error();
        tracing::error!(%error, "the meetings can't be read or written");
        later(RefusalCode::Unavailable, "The meetings can't be read or written now.", SOON)
    }
}

fn check_lookup(lookup: &Lookup) -> Result<(), Refusal> {
    if !is_number(&lookup.meeting) {
        return Err(bad(&format!("meeting has {NUMBER_LEN} digits.")));
    }
    if !is_passcode(&lookup.passcode) {
        return Err(bad("passcode has 6 to 64 bytes."));
    }
    match &lookup.name {
        Some(name) if !is_plain(name) || !(1..=WISH_LEN_MAX).contains(&name.len()) => {
            Err(bad("name has 1 to 48 letters, digits, dots, underscores and hyphens."))
        }
        _ => Ok(()),
    }
}

fn is_passcode(text: &str) -> bool {
    (PASSCODE_LEN_MIN..=PASSCODE_LEN_MAX).contains(&text.len())
}

fn new_number() -> String {
    (0..NUMBER_LEN).map(|_| char::from(b'0' + rand::random_range(0..10_u8))).collect()
}

fn bad(message: &str) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, message)
}

fn busy(_: Busy) -> Refusal {
    later(RefusalCode::Overloaded, "Too many passcodes are checked at once.", SOON)
}

pub(crate) fn now_s() -> i64 {
    i64::try_from(unix_now_s()).unwrap_or(i64::MAX)
}

/// A distance on Earth is some thousand kilometres.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
fn rounded(km: f64) -> u32 {
    km.round() as u32
}
