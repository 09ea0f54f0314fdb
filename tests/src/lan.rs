//! Many hosts around one switch.

use crate::Host;
use std::net::{IpAddr, Ipv4Addr};

/// Hosts that reach each other, each with one address.
pub struct Lan {
    switch: Host,
    hosts: Vec<Host>,
}

impl Lan {
    /// The hosts' interface.
    pub const INTERFACE: &str = "lan0";

    /// So many hosts, counted from 0.
    pub fn new(hosts: usize) -> Self {
        let switch = Host::new();
        switch.command("ip link add switch type bridge");
        switch.command("ip link set switch up");
        let mut lan = Self { switch, hosts: Vec::new() };
        for at in 0..hosts {
            let host = Host::new();
            lan.switch.join(&port(at), &host, Self::INTERFACE);
            lan.switch.command(&format!("ip link set {} master switch", port(at)));
            host.command(&format!("ip addr add {}/24 dev {}", Self::address(at), Self::INTERFACE));
            lan.hosts.push(host);
        }
        lan
    }

    /// One host.
    pub fn host(&self, at: usize) -> &Host {
        &self.hosts[at]
    }

    /// The address of a host.
    ///
    /// # Panics
    /// For a number no LAN has.
    pub fn address(at: usize) -> IpAddr {
        Ipv4Addr::new(10, 78, 0, u8::try_from(at + 1).unwrap()).into()
    }

    /// Pulls a host's cable out of the switch.
    pub fn unplug(&self, at: usize) {
        self.switch.command(&format!("ip link set {} down", port(at)));
    }
}

fn port(at: usize) -> String {
    format!("port{at}")
}
