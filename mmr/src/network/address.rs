//! Socket addresses as the kernel writes them, and back.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of the longest address we use, `sockaddr_in6`.
pub(super) const NAME_LEN_MAX: usize = size_of::<libc::sockaddr_in6>();
/// The same, as the kernel takes it.
#[expect(clippy::cast_possible_truncation, reason = "it is 28")]
pub(super) const NAME_SOCKLEN_MAX: libc::socklen_t = NAME_LEN_MAX as libc::socklen_t;

/// A `sockaddr_in` or `sockaddr_in6`, in the kernel's byte layout.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Name {
    pub(super) bytes: [u8; NAME_LEN_MAX],
    /// How many of them count.
    pub(super) len: u8,
}

impl Name {
    pub(super) const EMPTY: Self = Self { bytes: [0; NAME_LEN_MAX], len: 0 };

    /// ```text
    ///  0       2     4        8                 16            24     28
    ///  ┌───────┬─────┬────────┬─────────────────┐
    ///  │family │port │ IPv4   │ zero            │
    ///  ├───────┼─────┼────────┼─────────────────┴─────────────┬──────┐
    ///  │family │port │ flow   │ IPv6                          │scope │
    ///  └───────┴─────┴────────┴───────────────────────────────┴──────┘
    /// ```
    pub(super) fn of(address: SocketAddr) -> Self {
        let mut name = Self::EMPTY;
        name.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                name.bytes[..2].copy_from_slice(&family(libc::AF_INET));
                name.bytes[4..8].copy_from_slice(&v4.ip().octets());
                name.len = 16;
            }
            SocketAddr::V6(v6) => {
                name.bytes[..2].copy_from_slice(&family(libc::AF_INET6));
                name.bytes[8..24].copy_from_slice(&v6.ip().octets());
                name.bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                name.len = 28;
            }
        }
        name
    }
}

/// The address in the kernel's bytes; `None` when they are too short or of another family.
pub(super) fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    if bytes[..2] == family(libc::AF_INET) {
        let ip: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
        return Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(ip), port)));
    }
    if bytes[..2] == family(libc::AF_INET6) {
        let ip: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
        let scope = u32::from_ne_bytes(*bytes.get(24..)?.first_chunk()?);
        // The flow label is not part of who a peer is.
        return Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope)));
    }
    None
}

fn family(family: libc::c_int) -> [u8; 2] {
    // AF_INET is 2 and AF_INET6 is 10 on every Linux.
    u16::try_from(family).unwrap_or(0).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went() {
        for text in ["192.0.2.7:8801", "[2001:db8::1]:443", "[fe80::1%3]:65535", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            let name = Name::of(address);
            assert_eq!(parse(&name.bytes[..usize::from(name.len)]), Some(address));
        }
    }

    #[test]
    fn bytes_that_are_no_address_are_none() {
        let name = Name::of("[2001:db8::1]:443".parse().unwrap());
        for len in 0..27 {
            assert_eq!(parse(&name.bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(parse(&[1; 28]), None);
    }
}
