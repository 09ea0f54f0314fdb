//! The store of a zone with several controllers: an etcd cluster.
//!
//! ```text
//! /mmr/ZONE/place/MEETING      Place; leased until nobody has joined for long
//! /mmr/ZONE/token/DIGEST       who used it; leased for as long as a token lives
//! /mmr/ZONE/order/MMR          Order
//! /mmr/ZONE/controller/NAME    Sighting; leased for seconds
//! ```

mod api;

use super::{
    Answer, Change, Order, Outcome, Place, Shared, Sighting, Store, StoreError, UsedToken, Wanted,
};
use crate::digest::digest;
use crate::limits::CONTROLLER_GONE;
use api::{Cluster, Entry, Part, get, get_all, has_value, is_absent, put};
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wire::MmrId;
use wire::limits::TOKEN_LIFETIME_S_MAX;

/// How often an order is tried when another controller is faster.
const ORDER_TRIES: usize = 4;
/// Meetings are counted in one exchange of so many: the count walks through all keys.
const COUNT_EVERY: u64 = 20;

/// The store in an etcd cluster.
pub struct EtcdStore {
    cluster: Cluster,
    prefix: String,
    tokens: Lease,
    places: Lease,
    controllers: Lease,
    exchanges: AtomicU64,
    meetings: AtomicU64,
}

impl EtcdStore {
    /// For one zone; `endpoints` such as `https://etcd-1.example.org:2379`. Nobody is asked yet.
    /// Meetings that nobody joined for `kept_s` are forgotten.
    pub fn new(http: reqwest::Client, endpoints: Vec<String>, zone: &str, kept_s: u64) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            cluster: Cluster::new(http, endpoints),
            // A slash within a name would make it another's prefix.
            prefix: format!("/mmr/{}", zone.replace('%', "%25").replace('/', "%2F")),
            // The verifier's leeway, and the oldest a lease is when it is given out, on top.
            tokens: Lease::new(TOKEN_LIFETIME_S_MAX + 30, minute),
            places: Lease::new(kept_s, minute.max(Duration::from_secs(kept_s / 24))),
            controllers: Lease::new(CONTROLLER_GONE.as_secs(), CONTROLLER_GONE / 2),
            exchanges: AtomicU64::new(0),
            meetings: AtomicU64::new(0),
        }
    }

    fn key(&self, room: &str, name: &str) -> String {
        format!("{}/{room}/{name}", self.prefix)
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let value = self.cluster.value(key).await?;
        value.map(|value| parse(key, &value)).transpose()
    }

    async fn commit(&self, change: &Change<'_>) -> Result<Outcome, StoreError> {
        let key = self.key("place", change.meeting);
        let is_as_it_was = match change.from {
            Some(place) => has_value(&key, &json(place)),
            None => is_absent(&key),
        };
        let mut compare = vec![is_as_it_was];
        let mut then = Vec::new();
        if change.from != Some(change.to) {
            then.push(put(&key, &json(change.to), self.places.id(&self.cluster).await?));
        }
        let mut otherwise = vec![get(&key)];
        if let Some(token) = change.token {
            let token_key = self.token_key(token);
            compare.push(is_absent(&token_key));
            let used_by = digest(token.attempt.as_bytes());
            then.push(put(&token_key, &used_by, self.tokens.id(&self.cluster).await?));
            otherwise.push(get(&token_key));
        }
        let answer = self.cluster.txn(&compare, &then, &otherwise).await?;
        if answer.succeeded {
            return Ok(Outcome::Done);
        }
        let mut found = answer.ranges().map(|range| range.kvs.into_iter().next());
        let place: Option<Place> =
            found.next().flatten().map(|entry| parse(&key, &entry.value)).transpose()?;
        let used = found.next().flatten();
        match (change.token, used) {
            (Some(token), Some(by)) if by.value != digest(token.attempt.as_bytes()) => {
                Ok(Outcome::TokenUsed)
            }
            // It was this attempt, whose answer was lost: what is left is the place.
            (Some(_), Some(_)) if place.as_ref() == change.from => {
                let rest = Change { token: None, ..change.clone() };
                Box::pin(self.commit(&rest)).await
            }
            _ => Ok(Outcome::Moved(place)),
        }
    }

    fn token_key(&self, token: UsedToken<'_>) -> String {
        let mut name = String::with_capacity(64);
        for byte in digest(token.jti.as_bytes()) {
            let _ = write!(name, "{byte:02x}");
        }
        self.key("token", &name)
    }

    async fn order(&self, mmr: &MmrId, wanted: Wanted, now_ms: u64) -> Result<Order, StoreError> {
        let key = self.key("order", mmr.as_str());
        for _ in 0..ORDER_TRIES {
            let last: Option<Order> = self.read(&key).await?;
            let order = Order::after(last, wanted, now_ms);
            let is_last = match last {
                Some(last) => has_value(&key, &json(&last)),
                None => is_absent(&key),
            };
            // Without a lease: a drain lasts until it is taken back.
            let then = [put(&key, &json(&order), 0)];
            if self.cluster.txn(&[is_last], &then, &[]).await?.succeeded {
                return Ok(order);
            }
        }
        Err(StoreError::Unreachable("other controllers were faster, several times".into()))
    }

    async fn exchange(&self, own: &Sighting) -> Result<Shared, StoreError> {
        let lease = self.controllers.id(&self.cluster).await?;
        let then = [
            put(&self.key("controller", &own.controller), &json(own), lease),
            get_all(&self.key("order", "")),
            get_all(&self.key("controller", "")),
        ];
        let answer = self.cluster.txn(&[] as &[Part], &then, &[]).await?;
        let mut ranges = answer.ranges();
        let mut shared = Shared::default();
        for entry in ranges.next().unwrap_or_default().kvs {
            let mmr = name_in(&self.key("order", ""), &entry)?;
            shared.orders.insert(mmr, parse_entry(&entry)?);
        }
        for entry in ranges.next().unwrap_or_default().kvs {
            let sighting: Sighting = parse_entry(&entry)?;
            if sighting.controller != own.controller {
                shared.others.push(sighting);
            }
        }
        if self.exchanges.fetch_add(1, Ordering::Relaxed).is_multiple_of(COUNT_EVERY) {
            let count = self.cluster.count(&self.key("place", "")).await?;
            self.meetings.store(count, Ordering::Relaxed);
        }
        shared.meetings = self.meetings.load(Ordering::Relaxed);
        Ok(shared)
    }
}

impl Store for EtcdStore {
    fn place_of<'a>(&'a self, meeting: &'a str) -> Answer<'a, Option<Place>> {
        async move { self.read(&self.key("place", meeting)).await }.boxed()
    }

    fn commit<'a>(&'a self, change: &'a Change<'a>) -> Answer<'a, Outcome> {
        async move {
            let outcome = self.commit(change).await;
            if outcome.is_err() {
                // It may have been the lease: a cluster that was restored knows none of ours.
                self.tokens.forget().await;
                self.places.forget().await;
            }
            outcome
        }
        .boxed()
    }

    fn order<'a>(&'a self, mmr: &'a MmrId, wanted: Wanted, now_ms: u64) -> Answer<'a, Order> {
        self.order(mmr, wanted, now_ms).boxed()
    }

    fn exchange<'a>(&'a self, own: &'a Sighting) -> Answer<'a, Shared> {
        async move {
            let shared = self.exchange(own).await;
            if shared.is_err() {
                self.controllers.forget().await;
            }
            shared
        }
        .boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// One lease for many keys: a new one now and then, so that each key lives for at least `ttl_s`.
struct Lease {
    ttl_s: u64,
    fresh_for: Duration,
    current: Mutex<Option<(i64, Instant)>>,
}

impl Lease {
    fn new(at_least_s: u64, fresh_for: Duration) -> Self {
        Self { ttl_s: at_least_s + fresh_for.as_secs(), fresh_for, current: Mutex::new(None) }
    }

    async fn forget(&self) {
        *self.current.lock().await = None;
    }

    async fn id(&self, cluster: &Cluster) -> Result<i64, StoreError> {
        let mut current = self.current.lock().await;
        match *current {
            Some((id, granted)) if granted.elapsed() < self.fresh_for => Ok(id),
            _ => {
                let id = cluster.grant(self.ttl_s).await?;
                *current = Some((id, Instant::now()));
                Ok(id)
            }
        }
    }
}

fn name_in(prefix: &str, entry: &Entry) -> Result<MmrId, StoreError> {
    let key = String::from_utf8_lossy(&entry.key);
    let name = key.strip_prefix(prefix).unwrap_or_default().to_owned();
    MmrId::try_from(name).map_err(|cause| corrupt(&key, &cause))
}

fn json(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records are plain JSON")
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|cause| corrupt(key, &cause))
}

fn parse_entry<T: DeserializeOwned>(entry: &Entry) -> Result<T, StoreError> {
    parse(&String::from_utf8_lossy(&entry.key), &entry.value)
}

fn corrupt(key: &str, cause: &impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { key: key.to_owned(), cause: cause.to_string() }
}
