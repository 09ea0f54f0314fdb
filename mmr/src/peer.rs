//! Whom connections are counted against, at the doors and for control channels alike.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address for itself, an IPv6 address for its /64: one subscriber line has all of it (RFC
/// 6177), and would else pass for as many peers as it likes.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}
