//! Who may come in: caps on all connections, on those that have proved nothing yet, and on the
//! latter per source.

use super::limits::DoorLimits;
use crate::peer::network;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

/// Counts connections against their caps.
#[derive(Debug)]
pub(super) struct Admission {
    limits: DoorLimits,
    open: usize,
    half_open: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One connection's share of the caps, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Rc<RefCell<Admission>>,
    /// Set while the connection has proved nothing.
    probation: Option<IpAddr>,
}

impl Admission {
    /// Nobody is in.
    pub(super) fn new(limits: DoorLimits) -> Rc<RefCell<Self>> {
        let by_source = HashMap::with_capacity(limits.half_open);
        Rc::new(RefCell::new(Self { limits, open: 0, half_open: 0, by_source }))
    }

    /// A place on probation for a connection from `address`; `None` when a cap is reached.
    pub(super) fn admit(admission: &Rc<RefCell<Self>>, address: IpAddr) -> Option<Place> {
        let source = network(address);
        let mut counts = admission.borrow_mut();
        let counts = &mut *counts;
        if counts.open >= counts.limits.connections || counts.half_open >= counts.limits.half_open {
            return None;
        }
        let of_source = counts.by_source.get(&source).copied().unwrap_or(0);
        if of_source >= counts.limits.half_open_per_source {
            return None;
        }
        counts.by_source.insert(source, of_source + 1);
        counts.open += 1;
        counts.half_open += 1;
        Some(Place { admission: Rc::clone(admission), probation: Some(source) })
    }

    fn end_probation(&mut self, source: IpAddr) {
        self.half_open -= 1;
        let of_source = self.by_source.get_mut(&source).expect("counted since it was admitted");
        *of_source -= 1;
        if *of_source == 0 {
            self.by_source.remove(&source);
        }
    }
}

impl Place {
    /// The connection proved itself: it counts as open only. Again is fine.
    pub(super) fn confirm(&mut self) {
        if let Some(source) = self.probation.take() {
            self.admission.borrow_mut().end_probation(source);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.confirm();
        self.admission.borrow_mut().open -= 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;

    fn admission(open: usize, half_open: usize, per_source: usize) -> Rc<RefCell<Admission>> {
        Admission::new(DoorLimits {
            connections: open,
            half_open,
            half_open_per_source: per_source,
            ..DoorLimits::default()
        })
    }

    fn admit(admission: &Rc<RefCell<Admission>>, address: &str) -> Option<Place> {
        Admission::admit(admission, address.parse().unwrap())
    }

    #[test]
    fn one_source_takes_no_more_than_its_share() {
        let door = admission(10, 10, 2);
        let mut first = admit(&door, "192.0.2.1").unwrap();
        let _second = admit(&door, "192.0.2.1").unwrap();
        assert!(admit(&door, "192.0.2.1").is_none());
        assert!(admit(&door, "192.0.2.2").is_some(), "another source is not concerned");
        first.confirm();
        assert!(admit(&door, "192.0.2.1").is_some(), "a proved connection counts no more");
    }

    #[test]
    fn an_ipv6_source_is_its_64() {
        let door = admission(10, 10, 1);
        let _place = admit(&door, "2001:db8::1").unwrap();
        assert!(admit(&door, "2001:db8::ffff:1").is_none());
        assert!(admit(&door, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn half_open_and_open_have_caps_of_their_own() {
        let door = admission(3, 2, 2);
        let mut places: Vec<_> =
            ["192.0.2.1", "192.0.2.2"].map(|address| admit(&door, address).unwrap()).into();
        assert!(admit(&door, "192.0.2.3").is_none(), "half-open cap");
        places.iter_mut().for_each(Place::confirm);
        places.push(admit(&door, "192.0.2.3").unwrap());
        assert!(admit(&door, "192.0.2.4").is_none(), "open cap");
    }

    #[test]
    fn everything_is_given_back() {
        let door = admission(100, 100, 100);
        let mut places: Vec<_> = (0..100).map(|_| admit(&door, "192.0.2.1").unwrap()).collect();
        places.iter_mut().take(50).for_each(Place::confirm);
        drop(places);
        let door = door.borrow();
        assert_eq!((door.open, door.half_open, door.by_source.len()), (0, 0, 0));
    }
}
