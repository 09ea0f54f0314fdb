//! The zones that can be joined: those with a controller that answers its health check.

use crate::config::{Config, Zone as Configured};
use crate::limits::{HEALTH_PATIENCE, PONG_LEN_MAX};
use ::daemon::credential::CredentialError;
use ::daemon::https::Client;
use futures_util::future::join_all;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::zone::{PING_PATH, Pong};

/// All zones, as they are listed.
pub struct Zones {
    zones: Vec<Zone>,
    lost_after: Duration,
    client: Client,
}

/// One zone.
pub struct Zone {
    /// What is configured.
    pub configured: Configured,
    /// Whether each controller answered when it was last asked.
    answer: Vec<AtomicBool>,
    /// When one of them last did, or when nobody had asked yet.
    heard: Mutex<Instant>,
}

impl Zones {
    /// None of them answers yet.
    ///
    /// # Errors
    /// When the authority's file can't be used.
    pub fn new(config: &Config) -> Result<Self, CredentialError> {
        let zone = |zone: &Configured| Zone {
            configured: zone.clone(),
            answer: zone.controllers.iter().map(|_| AtomicBool::new(false)).collect(),
            heard: Mutex::new(Instant::now()),
        };
        let client = Client::new("health.authority", &config.health.authority, HEALTH_PATIENCE)?;
        let zones = config.zones.iter().map(zone).collect();
        Ok(Self { zones, lost_after: config.health.lost_after, client })
    }

    /// Asks every controller of every zone at once.
    pub async fn check(&self) {
        join_all(self.zones.iter().map(|zone| zone.check(&self.client))).await;
    }

    /// Those with a controller that answers, as they are listed.
    pub fn answering(&self) -> impl Iterator<Item = (&Configured, Vec<String>)> {
        self.zones.iter().filter_map(|zone| {
            let controllers = zone.answering();
            (!controllers.is_empty()).then_some((&zone.configured, controllers))
        })
    }

    /// A zone where meetings may be: with the controllers that answer, or with all when none does. `None` once
    /// none has for long, or when there is no such zone.
    pub fn unless_lost(&self, name: &str) -> Option<(&Configured, Vec<String>)> {
        let zone = self.zones.iter().find(|zone| zone.configured.name == name)?;
        let controllers = zone.answering();
        if !controllers.is_empty() {
            return Some((&zone.configured, controllers));
        }
        let heard = *zone.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let all = &zone.configured.controllers;
        (heard.elapsed() < self.lost_after).then(|| (&zone.configured, all.clone()))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(|zone| zone.configured.name.as_str())
    }

    /// Whether a controller of this zone answers.
    pub fn answers(&self, name: &str) -> bool {
        self.answering().any(|(zone, _)| zone.name == name)
    }

    /// How many controllers of each zone answer.
    pub fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.zones.iter().map(|zone| (zone.configured.name.as_str(), zone.answering().len()))
    }
}

impl Zone {
    async fn check(&self, client: &Client) {
        let name = &self.configured.name;
        let asked = self.configured.controllers.iter().zip(&self.answer);
        join_all(asked.map(|(url, answers)| async move {
            let found = ping(client, url, name).await;
            let before = answers.swap(found.is_ok(), Ordering::Relaxed);
            match found {
                Ok(()) if !before => tracing::info!(zone = name, url, "the controller answers"),
                Err(why) if before => {
                    tracing::warn!(zone = name, url, why, "the controller answers no more");
                }
                Err(why) => {
                    tracing::debug!(zone = name, url, why, "the controller does not answer")
                }
                Ok(()) => {}
            }
        }))
        .await;
        if self.answer.iter().any(|answers| answers.load(Ordering::Relaxed)) {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    fn answering(&self) -> Vec<String> {
        let controllers = self.configured.controllers.iter().zip(&self.answer);
        let answering = controllers.filter(|(_, answers)| answers.load(Ordering::Relaxed));
        answering.map(|(url, _)| url.clone()).collect()
    }
}

/// Whether a controller of this zone is there.
async fn ping(client: &Client, url: &str, zone: &str) -> Result<(), String> {
    let asked = client.get(&format!("{url}{PING_PATH}"), PONG_LEN_MAX).await;
    match serde_json::from_slice::<Pong>(&asked.map_err(|error| error.to_string())?) {
        Ok(pong) if pong.zone == zone => Ok(()),
        Ok(pong) => Err(format!("it is of the zone {:?}", pong.zone)),
        Err(_) => Err("this is no controller".to_owned()),
    }
}
