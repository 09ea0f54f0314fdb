//! The addresses clients are told: those listened on, unless the operator says otherwise.

use crate::config::Listen;
use std::net::{IpAddr, SocketAddr};
use wire::control::Addresses;

/// What clients are told, from what is really bound: the advertised addresses, else the bound ones,
/// "any" replaced by the host's own of the same family.
pub(crate) fn to_tell(listen: &Listen, bound: &Addresses) -> Addresses {
    let host: Vec<IpAddr> = of_this_host().collect();
    let tell = |bound: &[SocketAddr]| told(&listen.advertise, bound, &host);
    Addresses { udp: tell(&bound.udp), tcp: tell(&bound.tcp), tls: tell(&bound.tls) }
}

/// The host's addresses that others can reach, loopback when there is none other.
pub(crate) fn of_this_host() -> impl Iterator<Item = IpAddr> {
    let all: Vec<IpAddr> = nix::ifaddrs::getifaddrs()
        .into_iter()
        .flatten()
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        })
        .collect();
    let far = |address: &IpAddr| !address.is_loopback() && !is_link_local(address);
    let only_loopback = !all.iter().any(far);
    all.into_iter().filter(move |address| far(address) || (only_loopback && address.is_loopback()))
}

/// Useless to others without an interface's name.
fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn told(advertise: &[IpAddr], bound: &[SocketAddr], host: &[IpAddr]) -> Vec<SocketAddr> {
    let port_for = |address: &IpAddr| {
        let same = bound.iter().find(|bound| bound.is_ipv4() == address.is_ipv4());
        same.or(bound.first()).map(SocketAddr::port)
    };
    if !advertise.is_empty() {
        return advertise
            .iter()
            .filter_map(|address| Some(SocketAddr::new(*address, port_for(address)?)))
            .collect();
    }
    let mut all = Vec::new();
    for bound in bound {
        if !bound.ip().is_unspecified() {
            all.push(*bound);
            continue;
        }
        let same = host.iter().filter(|address| address.is_ipv4() == bound.is_ipv4());
        all.extend(same.map(|address| SocketAddr::new(*address, bound.port())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(advertise: &[&str], bound: &[&str], told_expected: &[&str]) {
        let host: Vec<IpAddr> =
            ["192.0.2.7", "2001:db8::7"].map(|text| text.parse().expect("an address")).to_vec();
        let advertise: Vec<IpAddr> =
            advertise.iter().map(|text| text.parse().expect("an address")).collect();
        let bound: Vec<SocketAddr> =
            bound.iter().map(|text| text.parse().expect("an address")).collect();
        let told: Vec<String> =
            told(&advertise, &bound, &host).iter().map(SocketAddr::to_string).collect();
        assert_eq!(told, told_expected);
    }

    #[test]
    fn tells_what_a_client_can_reach() {
        check(&[], &["127.0.0.1:5000", "[::1]:5001"], &["127.0.0.1:5000", "[::1]:5001"]);
        check(&[], &["0.0.0.0:8801", "[::]:8801"], &["192.0.2.7:8801", "[2001:db8::7]:8801"]);
        check(
            &["203.0.113.1", "2001:db8::1"],
            &["0.0.0.0:8801", "[::]:8802"],
            &["203.0.113.1:8801", "[2001:db8::1]:8802"],
        );
        check(&["203.0.113.1"], &[], &[]);
    }
}
