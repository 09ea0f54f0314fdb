//! The router of the demo: a real daemon in this process.

use client::IpChoice;
use mmr::dev::Dev;
use mmr::{Config, Daemon, Error};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use wire::token::Role;

const MEETING: &str = "demo";
const MEDIA_PORT: u16 = 8801;
const TLS_PORT: u16 = 443;

/// A running router with its own certificate and keys.
pub(super) struct Router {
    daemon: Daemon,
    dev: Dev,
}

impl Router {
    /// Starts it on the usual ports, or on free ones with a remark why.
    pub(super) fn start() -> Result<(Self, Option<String>), Error> {
        let dev = Dev::temporary()?;
        match Daemon::start(config(&dev, MEDIA_PORT, TLS_PORT)) {
            Ok(daemon) => Ok((Self { daemon, dev }, None)),
            Err(cause) => {
                let daemon = Daemon::start(config(&dev, 0, 0))?;
                let remark = format!("{cause} Free ports are taken instead.");
                Ok((Self { daemon, dev }, Some(remark)))
            }
        }
    }

    /// Where it listens, on what.
    pub(super) async fn introduction(&self) -> Result<Vec<String>, Error> {
        let stats = self.daemon.stats().await?;
        let backend = stats.workers.first().map_or("", |worker| &worker.backend);
        let addresses = self.daemon.addresses();
        Ok(vec![
            format!("router    {} workers, backend {backend}", stats.workers.len()),
            format!("UDP, TCP  {}", list(&addresses.udp)),
            format!("TLS       {}", list(&addresses.tls)),
        ])
    }

    /// What went through it.
    pub(super) async fn summary(&self) -> Result<String, Error> {
        let stats = self.daemon.stats().await?;
        let sum =
            |of: fn(&wire::stats::WorkerStats) -> u64| stats.workers.iter().map(of).sum::<u64>();
        let mut drops = BTreeMap::<&str, u64>::new();
        for (reason, packets) in stats.workers.iter().flat_map(|worker| &worker.drops) {
            *drops.entry(reason).or_default() += packets;
        }
        let drops: Vec<_> =
            drops.iter().map(|(reason, packets)| format!("{packets} {reason}")).collect();
        Ok(format!(
            "router: {} media packets in, {} packets out, {} sent again, dropped: {}",
            sum(|worker| worker.received.values().map(|traffic| traffic.packets).sum()),
            sum(|worker| worker.sent.values().map(|traffic| traffic.packets).sum()),
            sum(|worker| worker.retransmitted),
            if drops.is_empty() { "none".to_owned() } else { drops.join(", ") },
        ))
    }

    pub(super) fn tls_port(&self, ip: IpChoice) -> u16 {
        let allowed = |address: &&SocketAddr| ip.allows(address.ip());
        self.daemon.addresses().tls.iter().find(allowed).map_or(0, SocketAddr::port)
    }

    pub(super) fn token(&self, participant: &str, role: Role) -> String {
        self.dev.token(MEETING, participant, role)
    }

    pub(super) fn ca_pem(&self) -> &str {
        self.dev.ca_pem()
    }

    pub(super) async fn stop(self) {
        self.daemon.stop().await;
    }
}

fn config(dev: &Dev, media_port: u16, tls_port: u16) -> Config {
    let mut config = dev.config();
    config.listen.media_port = media_port;
    config.listen.tls_port = tls_port;
    if !has_ipv6() {
        config.listen.addresses.retain(|address| address.is_ipv4());
    }
    config
}

/// Whether there is an IPv6 loopback: containers often have none.
pub(super) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join("  ")
}
