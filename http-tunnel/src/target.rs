//! What a client asks to be connected with, and which addresses are never meant.
//!
//! One host has many spellings. Here each gets one: addresses become values, names lower case without
//! the last dot. IPv6 addresses that carry an IPv4 address are of no use to a client (it has the IPv4
//! address) but to slip past a list: they are refused, whichever IPv4 address they carry.

use crate::limits::NAME_LEN_MAX;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A host and its port, in the one spelling that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// By address.
    Address(SocketAddr),
    /// By name, in lower case, and port.
    Name(String, u16),
}

/// Why a text is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not `host:port`.
    #[error("not host:port, with a DNS name, an IPv4 address, or an IPv6 address in brackets")]
    Malformed,
    /// An IPv6 address that carries an IPv4 address.
    #[error("an IPv6 address that carries an IPv4 address; write the IPv4 address")]
    Disguised,
    /// An address that is no host's.
    #[error("not the address of a host")]
    NoHost,
}

impl Target {
    /// Reads `host:port`.
    ///
    /// # Errors
    /// When it is none, or never leads to a host of a zone.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (host, port) = text.rsplit_once(':').ok_or(TargetError::Malformed)?;
        let port = port_of(port).ok_or(TargetError::Malformed)?;
        if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| TargetError::Malformed)?;
            return Self::at(address.into(), port);
        }
        // Takes four decimal numbers and nothing else: no octal, no hexadecimal, no short forms.
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Self::at(address.into(), port);
        }
        Ok(Self::Name(name(host).ok_or(TargetError::Malformed)?, port))
    }

    fn at(address: IpAddr, port: u16) -> Result<Self, TargetError> {
        match address {
            IpAddr::V6(address) if carries_ipv4(address) => Err(TargetError::Disguised),
            address if address.is_unspecified() || address.is_multicast() => {
                Err(TargetError::NoHost)
            }
            IpAddr::V4(address) if address.is_broadcast() => Err(TargetError::NoHost),
            address => Ok(Self::Address(SocketAddr::new(address, port))),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

fn port_of(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// A DNS name (RFC 1123 §2.1), in lower case. None that ends in a number: resolvers take some of those
/// for IPv4 addresses (`127.1`, `0x7f000001`, `2130706433`).
fn name(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let fits = host.len() <= NAME_LEN_MAX
        && host.split('.').all(label)
        && last.starts_with(|first: char| first.is_ascii_alphabetic());
    fits.then(|| host.to_ascii_lowercase())
}

/// Whether an IPv6 address is one of the forms that carry an IPv4 address. Loopback and the
/// unspecified address, which lie among them, are none.
pub fn carries_ipv4(address: Ipv6Addr) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return false;
    }
    match address.segments() {
        // RFC 4291 §2.5.5.1 and §2.5.5.2: IPv4-compatible and IPv4-mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _]
        // RFC 2765 §2.1: IPv4-translated.
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        // RFC 6052 §2.1 and RFC 8215: NAT64.
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _]
        | [0x64, 0xff9b, 1, ..]
        // RFC 3056 §2: 6to4. RFC 4380 §2.6: Teredo.
        | [0x2002, ..]
        | [0x2001, 0, ..]
        // RFC 5214 §6.1: ISATAP.
        | [_, _, _, _, 0 | 0x0200, 0x5efe, _, _] => true,
        _ => false,
    }
}

/// Whether a name may lead to an address: a public one, or one of `private`.
pub fn may_resolve_to(address: IpAddr, private: &[IpNet]) -> bool {
    let public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    public || (!is_disguised(address) && private.iter().any(|network| network.contains(&address)))
}

fn is_disguised(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if carries_ipv4(address))
}

/// Of the registry of RFC 6890, what may be a host's elsewhere.
fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // This network, private use, loopback, multicast and all above it.
        [0 | 10 | 127 | 224.., ..] => false,
        // Shared between a provider and its customers (RFC 6598).
        [100, 64..=127, ..] => false,
        // Link-local, private use twice, protocol assignments, benchmarks.
        [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0, _]
        | [198, 18 | 19, ..] => false,
        _ => true,
    }
}

/// Global unicast (RFC 4291 §2.4) that carries no IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xe000 == 0x2000 && !carries_ipv4(address)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<String, TargetError> {
        Target::parse(text).map(|target| target.to_string())
    }

    #[test]
    fn one_host_has_one_spelling() {
        for (text, canonical) in [
            ("zc.example.org:443", "zc.example.org:443"),
            ("ZC.Example.ORG.:0443", "zc.example.org:443"),
            ("192.0.2.1:443", "192.0.2.1:443"),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
            ("[2001:db8:0:0:0:0:0:1]:443", "[2001:db8::1]:443"),
            ("[::1]:443", "[::1]:443"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_none() {
        for text in [
            "",
            ":",
            ":443",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+443",
            "a:-1",
            "a: 443",
            "a:443 ",
            "a b:443",
            "a@b:443",
            "a/b:443",
            "..:443",
            "a..b:443",
            "-a:443",
            "a-:443",
            "*:443",
            "a_b:443",
            "2001:db8::1:443",
            "[2001:db8::1:443",
            "2001:db8::1]:443",
            "[]:443",
            "[a]:443",
            "[192.0.2.1]:443",
            "[fe80::1%eth0]:443",
            "[fe80::1%25eth0]:443",
            "127.1:443",
            "0x7f.0.0.1:443",
            "0x7f000001:443",
            "2130706433:443",
            "0177.0.0.1:443",
            "127.0.0.1.:443",
            "1.2.3.4.5:443",
            "300.1.1.1:443",
            "a.1:443",
            "é.org:443",
            "%61:443",
            "a\0:443",
            "a:443:443",
        ] {
            assert_eq!(parse(text), Err(TargetError::Malformed), "{text:?}");
        }
        assert_eq!(parse(&format!("{}.org:443", "a".repeat(64))), Err(TargetError::Malformed));
        assert_eq!(parse(&format!("{}org:443", "a.".repeat(126))), Err(TargetError::Malformed));
    }

    #[test]
    fn every_form_of_ipv4_in_ipv6_is_refused_in_every_spelling() {
        for text in [
            "::ffff:192.0.2.1",
            "::FFFF:c000:201",
            "0:0:0:0:0:ffff:192.0.2.1",
            "::ffff:0:0",
            "::192.0.2.1",
            "::c000:201",
            "::7f00:1",
            "::ffff:0:192.0.2.1",
            "::ffff:127.0.0.1",
            "64:ff9b::192.0.2.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::192.0.2.1",
            "64:ff9b:1:7f00:0:100::",
            "2002:c000:201::1",
            "2002:7f00:1::",
            "2001::c000:201",
            "2001:0:53aa:64c::",
            "2001:db8::5efe:192.0.2.1",
            "fe80::200:5efe:192.0.2.1",
            "fe80::5efe:7f00:1",
        ] {
            assert_eq!(parse(&format!("[{text}]:443")), Err(TargetError::Disguised), "{text}");
            let address: IpAddr = text.parse().unwrap();
            assert!(!may_resolve_to(address, &["::/0".parse().unwrap()]), "{text}");
        }
    }

    #[test]
    fn what_is_nobodys_address_is_refused() {
        for text in
            ["0.0.0.0:443", "255.255.255.255:443", "224.0.0.1:443", "[::]:443", "[ff02::1]:443"]
        {
            assert_eq!(parse(text), Err(TargetError::NoHost), "{text}");
        }
    }

    #[test]
    fn names_lead_to_public_addresses_and_to_those_the_operator_allows() {
        let private = ["10.1.0.0/16".parse().unwrap(), "fd00:1::/32".parse().unwrap()];
        for (text, public) in [
            ("203.0.113.7", true),
            ("8.8.8.8", true),
            ("2a00:1450::1", true),
            ("100.63.0.1", true),
            ("127.0.0.1", false),
            ("127.8.8.8", false),
            ("0.0.0.0", false),
            ("10.2.0.1", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("fc00::1", false),
            ("fd00:2::1", false),
            ("ff02::1", false),
            ("10.1.2.3", true),
            ("fd00:1::5", true),
        ] {
            assert_eq!(may_resolve_to(text.parse().unwrap(), &private), public, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_reads_is_read_the_same_again(text in ".{0,80}") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
            }
        }

        #[test]
        fn no_ipv4_address_gets_by_in_ipv6(octets: [u8; 4], port in 1_u16..) {
            let [a, b, c, d] = octets.map(u16::from);
            let halves = [a << 8 | b, c << 8 | d];
            prop_assume!(halves != [0, 0] && halves != [0, 1]);
            for six in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, halves[0], halves[1]),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, halves[0], halves[1]),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, halves[0], halves[1]),
                Ipv6Addr::new(0x2002, halves[0], halves[1], 0, 0, 0, 0, 1),
            ] {
                let parsed = Target::parse(&SocketAddr::new(six.into(), port).to_string());
                prop_assert_eq!(parsed, Err(TargetError::Disguised));
            }
        }
    }
}
