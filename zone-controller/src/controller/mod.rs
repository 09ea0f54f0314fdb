//! One controller: hears reports, makes assignments, agrees with the others. Knows nothing of HTTP.

mod announced;
mod assign;
mod exchange;
mod tokens;
mod view;

use crate::config::Config;
use crate::credentials::Credentials;
use crate::limits::{TICKET_PACE, TICKETS_PACED_MAX};
use crate::metrics::Counts;
use crate::placement::{Heard, Load, Paces, Placement};
use crate::store::{Order, Store, Wanted};
use ::daemon::keys::Sources;
use announced::Announced;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use wire::MmrId;
use wire::load::{Reply, Report, VERSION, WantedState};
use wire::zone::{ControlPoint, Refusal, RefusalCode};

/// A worker's share of its time is at most 1; of a threshold near zero that would be endless.
const STRESS_SHOWN_MAX: f64 = 1e3;

/// One controller of a zone.
pub struct Controller {
    zone: String,
    name: String,
    /// From which on a place is renewed by the next join, in seconds.
    renew_after_s: u64,
    ticket_lifetime_s: u64,
    credentials: RwLock<Arc<Credentials>>,
    store: Box<dyn Store>,
    state: Mutex<State>,
    assigns: Semaphore,
    tickets: Mutex<Paces>,
    started: Instant,
    /// What happened, for metrics.
    pub counts: Counts,
}

struct State {
    placement: Placement,
    known: HashMap<MmrId, Known>,
    announced: Announced,
    orders: BTreeMap<MmrId, Order>,
    /// Whether `orders` is what the store last said.
    store_reachable: bool,
    meetings: u64,
}

/// What clients and operators are told of an MMR.
struct Known {
    control: Option<ControlPoint>,
    resource: String,
    workers_stress: Vec<f32>,
    meetings: u64,
    headroom: u64,
    version: String,
}

impl From<&Report> for Known {
    fn from(report: &Report) -> Self {
        let router = report.router.as_ref();
        let full = report.stress.resources.iter().find(|it| it.resource == "worker");
        // Where workers do not count for stress: their time as it is.
        let full = full.map(|it| it.threshold).filter(|full| *full > 0.0).unwrap_or(1.0);
        #[allow(clippy::cast_possible_truncation, reason = "stress is shown with two digits")]
        let stress = |router: &wire::load::RouterLoad| {
            router
                .workers
                .iter()
                .map(|worker| (worker.busy / full).min(STRESS_SHOWN_MAX) as f32)
                .collect()
        };
        Self {
            control: report.control.clone(),
            resource: report.stress.resource.clone(),
            workers_stress: router.map(stress).unwrap_or_default(),
            meetings: router.map_or(0, |router| router.meetings),
            headroom: report.headroom.participants,
            version: router.map_or_else(String::new, |router| router.version.clone()),
        }
    }
}

impl Controller {
    /// Knows no MMR yet. Placement is drawn from `seed`.
    pub fn new(
        config: &Config,
        credentials: Credentials,
        store: Box<dyn Store>,
        seed: u64,
    ) -> Self {
        Self {
            zone: config.zone.clone(),
            name: config.name.clone(),
            renew_after_s: config.meetings_kept.as_secs() / 2,
            ticket_lifetime_s: config.tokens.ticket_lifetime.as_secs(),
            credentials: RwLock::new(Arc::new(credentials)),
            store,
            state: Mutex::new(State {
                placement: Placement::new(config.rules, seed, Duration::ZERO),
                known: HashMap::new(),
                announced: Announced::default(),
                orders: BTreeMap::new(),
                store_reachable: false,
                meetings: 0,
            }),
            assigns: Semaphore::new(usize::try_from(config.limits.assigns_at_once).unwrap_or(1)),
            tickets: Mutex::new(Paces::new(TICKET_PACE, TICKETS_PACED_MAX)),
            started: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// New certificates, keys and tokens; what is under way goes on with the old ones.
    pub fn replace_credentials(&self, credentials: Credentials) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }

    /// New keys of join tokens.
    pub fn replace_keys(&self, keys: &Sources) {
        let mut credentials = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
        *credentials = Arc::new(credentials.with_keys(&self.zone, keys));
    }

    /// A report that came from whom it says.
    ///
    /// # Errors
    /// When it is another zone's, or there are too many MMRs.
    pub fn report(&self, report: &Report) -> Result<Reply, Refusal> {
        if report.zone != self.zone {
            let message = format!("This controller is of the zone \"{}\".", self.zone);
            return Err(refusal(RefusalCode::BadRequest, message));
        }
        let now = self.now();
        let mut state = self.state();
        let list_meetings = match state.placement.report(&report.mmr, Load::from(report), now) {
            Heard::Taken => {
                state.known.insert(report.mmr.clone(), Known::from(report));
                self.counts.reports.taken();
                state.announced.handle_report(report)
            }
            Heard::Old => {
                self.counts.reports.old();
                false
            }
            Heard::TooMany => {
                self.counts.reports.refused();
                let message = format!("More than {} MMRs report.", crate::limits::MMRS_MAX);
                return Err(refusal(RefusalCode::Overloaded, message));
            }
        };
        let order = state.orders.get(&report.mmr).copied();
        drop(state);
        let wanted = order.map(|order| self.wanted(order));
        Ok(Reply { v: VERSION, wanted, list_meetings })
    }

    /// What operators want of an MMR from now on.
    ///
    /// # Errors
    /// When no such MMR is known, or the store can't be reached.
    pub async fn order(&self, mmr: &MmrId, wanted: Wanted) -> Result<(), Refusal> {
        if !self.state().known.contains_key(mmr) {
            let message = format!("No MMR \"{mmr}\" has reported to this controller.");
            return Err(refusal(RefusalCode::NotFound, message));
        }
        let order = self.store.order(mmr, wanted, unix_now_ms()).await;
        let order = order.map_err(|error| self.unavailable(&error))?;
        let mut state = self.state();
        state.orders.insert(mmr.clone(), order);
        state.apply_orders();
        Ok(())
    }

    /// What takes and checks secrets now.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The zone's name.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Whether a new meeting would find room, and could be agreed on.
    pub fn has_room(&self) -> bool {
        let now = self.now();
        let state = self.state();
        state.store_reachable && state.placement.has_room(now)
    }

    fn wanted(&self, order: Order) -> wire::load::Wanted {
        let state = match order.wanted {
            Wanted::Serve => WantedState::Serve,
            Wanted::Drain { until_s } => {
                WantedState::Drain { deadline_s: until_s.saturating_sub(unix_now_s()) }
            }
        };
        wire::load::Wanted { order: order.order, state }
    }

    fn unavailable(&self, error: &crate::store::StoreError) -> Refusal {
        self.counts.store_errors.inc();
        tracing::warn!(%error, "the store did not do what was asked");
        Refusal {
            code: RefusalCode::Unavailable,
            message: "The controllers can't agree at the moment. Try again, or ask another one."
                .into(),
            retry_after_ms: Some(500 + rand::random_range(0..500)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing within it panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time as placement counts it: since this controller started.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl State {
    fn apply_orders(&mut self) {
        let drained = |order: &Order| matches!(order.wanted, Wanted::Drain { .. });
        let drains = self.orders.iter().filter(|(_, order)| drained(order));
        self.placement.set_drains(drains.map(|(mmr, _)| mmr.clone()).collect());
    }
}

/// A refusal that asking again does not change.
pub(crate) fn refusal(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into(), retry_after_ms: None }
}

pub(crate) fn unix_now_s() -> u64 {
    unix_now_ms() / 1_000
}

fn unix_now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
