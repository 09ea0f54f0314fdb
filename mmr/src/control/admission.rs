//! How many control channels there may be: in total, and from one address.

use crate::peer::network;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts channels from their accepted connection on.
#[derive(Clone)]
pub(super) struct Admission {
    counts: Arc<Mutex<Counts>>,
    total_max: u32,
    per_address_max: u32,
}

#[derive(Default)]
struct Counts {
    total: u32,
    per_address: HashMap<IpAddr, u32>,
}

/// A channel's place; given back when dropped.
pub(super) struct Admitted {
    counts: Arc<Mutex<Counts>>,
    address: IpAddr,
}

/// Why there was no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The MMR has all the channels it may have.
    Total,
    /// The address has.
    Address,
}

impl Admission {
    pub(super) fn new(total_max: u32, per_address_max: u32) -> Self {
        Self { counts: Arc::default(), total_max, per_address_max }
    }

    /// Takes a place.
    pub(super) fn admit(&self, remote: SocketAddr) -> Result<Admitted, Refusal> {
        let address = network(remote.ip());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.total_max {
            return Err(Refusal::Total);
        }
        let here = counts.per_address.get(&address).copied().unwrap_or(0);
        if here >= self.per_address_max {
            return Err(Refusal::Address);
        }
        counts.per_address.insert(address, here + 1);
        counts.total += 1;
        Ok(Admitted { counts: Arc::clone(&self.counts), address })
    }

    /// Places taken.
    pub(super) fn total(&self) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(here) = counts.per_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.per_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().expect("an address"), 1)
    }

    #[test]
    fn counts_in_total_and_per_address_and_gives_places_back() {
        let admission = Admission::new(3, 2);
        let first = admission.admit(from("192.0.2.1"));
        let _second = admission.admit(from("::ffff:192.0.2.1"));
        assert_eq!(admission.admit(from("192.0.2.1")).err(), Some(Refusal::Address));
        let _third = admission.admit(from("2001:db8::1"));
        assert_eq!(admission.admit(from("192.0.2.2")).err(), Some(Refusal::Total));
        drop(first);
        assert!(admission.admit(from("192.0.2.1")).is_ok());
        assert_eq!(admission.total(), 2);
    }

    #[test]
    fn takes_a_64_of_ipv6_for_one_host() {
        let admission = Admission::new(9, 1);
        let _one = admission.admit(from("2001:db8::1"));
        assert_eq!(admission.admit(from("2001:db8::2")).err(), Some(Refusal::Address));
        assert!(admission.admit(from("2001:db8:0:1::2")).is_ok());
    }
}
