//! Which DSCP marks packets carried when they arrived.

use serde::{Serialize, Serializer};

/// A set of DSCP code points, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DscpSet(u64);

impl DscpSet {
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Notes a mark, 0..=63.
    pub fn insert(&mut self, dscp: u8) {
        self.0 |= 1 << (dscp & 63);
    }

    /// Everything in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In rising order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |dscp| self.0 >> dscp & 1 == 1)
    }

    /// Nothing was noted.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Serialize for DscpSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// The mark in an IPv4 TOS or IPv6 traffic class byte: without the ECN bits (RFC 2474 §3, RFC 3168 §5).
pub(super) const fn of_traffic_class(byte: u8) -> u8 {
    byte >> 2
}
