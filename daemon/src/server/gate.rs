//! How many connections there are, in all and from each network, and who is at their other end.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Out;

/// Counts of connections. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    open: Gauge,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Connections {
    /// As metrics.
    ///
    /// # Errors
    /// When `out` can't be written.
    pub fn encode(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        out.metric("connections", "Connections open", &self.open)?;
        out.metric(
            "connections_refused",
            "Connections that were turned away, by reason",
            &self.refused,
        )
    }
}

/// What one peer can have many addresses of: an IPv6 network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        v4 => v4,
    }
}

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Where it comes from.
    pub address: IpAddr,
    /// Its certificate, when it showed one that is trusted.
    pub certificate: Option<CertificateDer<'static>>,
    holds: Arc<AtomicU32>,
    place: Arc<Place>,
}

impl Peer {
    pub(super) fn new(
        address: IpAddr,
        certificate: Option<CertificateDer<'static>>,
        place: Arc<Place>,
    ) -> Self {
        Self { address, certificate, holds: Arc::default(), place }
    }

    /// Its connection may stay, and counts as open, as long as the hold lives.
    pub fn hold(&self) -> Hold {
        self.holds.fetch_add(1, Ordering::Relaxed);
        Hold { holds: Arc::clone(&self.holds), _place: Arc::clone(&self.place) }
    }

    /// Its connection may stay for good.
    pub fn keep(&self) {
        self.holds.fetch_or(KEPT, Ordering::Relaxed);
    }

    pub(super) fn is_held(&self) -> bool {
        self.holds.load(Ordering::Relaxed) > 0
    }
}

/// Above any number of holds.
const KEPT: u32 = 1 << 31;

/// Keeps a connection.
pub struct Hold {
    holds: Arc<AtomicU32>,
    _place: Arc<Place>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets connections in, up to a limit.
pub(super) struct Gate {
    most: u32,
    most_per_address: u32,
    open: Mutex<Open>,
    counts: Connections,
}

#[derive(Default)]
struct Open {
    count: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// Given back when dropped.
pub(super) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    pub(super) fn new(most: u32, most_per_address: u32, counts: Connections) -> Self {
        Self { most, most_per_address, open: Mutex::new(Open::default()), counts }
    }

    pub(super) fn enter(gate: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let mut open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.count >= gate.most {
            return Err("limit");
        }
        let mine = open.by_address.entry(address).or_insert(0);
        if *mine >= gate.most_per_address {
            return Err("limit_per_address");
        }
        *mine += 1;
        open.count += 1;
        drop(open);
        gate.counts.open.inc();
        Ok(Place { gate: Arc::clone(gate), address })
    }

    pub(super) fn count(&self) -> u32 {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.counts.refused.get_or_create(&[("reason", reason)]).inc();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.count -= 1;
        if let Some(mine) = open.by_address.get_mut(&self.address) {
            *mine -= 1;
            if *mine == 0 {
                open.by_address.remove(&self.address);
            }
        }
        self.gate.counts.open.dec();
    }
}
