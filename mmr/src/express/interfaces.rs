//! Where the program is attached, and which local addresses are the router's.

use super::limits;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::libc::ARPHRD_ETHER;
use nix::net::if_::InterfaceFlags;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The Ethernet interfaces that packets to the router's sockets come over.
pub(super) fn of(bound: &[SocketAddr]) -> Vec<String> {
    let all: Vec<InterfaceAddress> = getifaddrs().into_iter().flatten().collect();
    let ethernet: BTreeSet<&String> =
        all.iter().filter(|it| is_ethernet(it)).map(|it| &it.interface_name).collect();
    let ours = all.iter().filter(|it| {
        let address = ip(it);
        address.is_some_and(|address| bound.iter().any(|bound| takes(bound.ip(), address)))
    });
    let names: BTreeSet<&String> =
        ours.map(|it| &it.interface_name).filter(|name| ethernet.contains(name)).collect();
    names.into_iter().take(limits::INTERFACES_MAX).cloned().collect()
}

/// This host's addresses that a socket of the router takes packets to, and which socket. Link-local ones say nothing
/// without their interface, which a table's key has not.
pub(super) fn local_addresses(bound: &[SocketAddr]) -> impl Iterator<Item = (SocketAddr, u8)> {
    let all: Vec<IpAddr> = getifaddrs().into_iter().flatten().filter_map(|it| ip(&it)).collect();
    let sockets = (0..=u8::MAX).zip(bound.to_vec());
    let ours = sockets.flat_map(move |(number, bound)| {
        let all = all
            .clone()
            .into_iter()
            .filter(move |address| takes(bound.ip(), *address) && !is_link_local(*address));
        all.map(move |address| (SocketAddr::new(address, bound.port()), number))
    });
    ours.take(limits::LISTENS_MAX as usize)
}

fn takes(bound: IpAddr, address: IpAddr) -> bool {
    bound == address || (bound.is_unspecified() && bound.is_ipv4() == address.is_ipv4())
}

/// Whether an address means nothing without its interface.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_ethernet(interface: &InterfaceAddress) -> bool {
    let link = interface.address.as_ref().and_then(|address| address.as_link_addr());
    let unusual = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_NOARP;
    link.is_some_and(|link| link.hatype() == ARPHRD_ETHER) && !interface.flags.intersects(unusual)
}

fn ip(interface: &InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address.as_ref()?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}
