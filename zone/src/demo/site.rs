//! The zone of the demo: a controller and two MMRs with their agents, all real, in this process.

use super::meeting::Seat;
use client::{ClientError, JoinOptions, TransportChoice, Trust};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use wire::token::Role;
use zone::{Member, Ports, Zone};

/// The usual ones. The second MMR takes free ones: both are on one host here.
const USUAL: Ports = Ports { media: 8801, tls: 443 };
const FREE: Ports = Ports { media: 0, tls: 0 };

/// A running zone.
pub(super) struct Site {
    pub(super) zone: Zone,
}

impl Site {
    /// Starts it with the first MMR on the usual ports, or on free ones with a remark why.
    pub(super) async fn start() -> Result<(Self, Option<String>), Box<dyn Error>> {
        let (zone, remark) = match start([USUAL, FREE]).await {
            Ok(zone) => (zone, None),
            Err(cause) => {
                let remark = format!("{cause} Free ports are taken instead.");
                (start([FREE, FREE]).await?, Some(remark))
            }
        };
        Ok((Self { zone }, remark))
    }

    /// Who listens where, on what.
    pub(super) async fn introduction(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let mut lines = vec![format!("controller {}", self.zone.url())];
        for Member { id, daemon, .. } in self.zone.members() {
            let Some(daemon) = daemon else { continue };
            let stats = daemon.stats().await?;
            let backend = stats.workers.first().map_or("", |worker| &worker.backend);
            let addresses = daemon.addresses();
            lines.extend([
                format!(
                    "{id}      {} workers, backend {backend}, and its agent",
                    stats.workers.len()
                ),
                format!("  UDP, TCP {}", list(&addresses.udp)),
                format!("  TLS      {}", list(&addresses.tls)),
            ]);
        }
        Ok(lines)
    }

    /// What went through each MMR.
    pub(super) async fn summary(&self) -> Result<String, Box<dyn Error>> {
        let mut lines = Vec::new();
        for Member { id, daemon, .. } in self.zone.members() {
            let Some(daemon) = daemon else { continue };
            let stats = daemon.stats().await?;
            let sum = |of: fn(&wire::stats::WorkerStats) -> u64| {
                stats.workers.iter().map(of).sum::<u64>()
            };
            let mut drops = BTreeMap::<&str, u64>::new();
            for (reason, packets) in stats.workers.iter().flat_map(|worker| &worker.drops) {
                *drops.entry(reason).or_default() += packets;
            }
            let drops: Vec<_> =
                drops.iter().map(|(reason, packets)| format!("{packets} {reason}")).collect();
            lines.push(format!(
                "{id}: {} media packets in, {} packets out, {} sent again, dropped: {}",
                sum(|worker| worker.received.values().map(|traffic| traffic.packets).sum()),
                sum(|worker| worker.sent.values().map(|traffic| traffic.packets).sum()),
                sum(|worker| worker.retransmitted),
                if drops.is_empty() { "none".to_owned() } else { drops.join(", ") },
            ));
        }
        Ok(lines.join("\n"))
    }

    /// By way of the controller.
    pub(super) fn join_options(
        &self,
        meeting: &str,
        participant: &str,
        role: Role,
        Seat { transport, ip }: Seat,
    ) -> Result<JoinOptions, ClientError> {
        let at = self.zone.destination(self.zone.token(meeting, participant, role));
        let trust = Trust::from_pem(self.zone.ca_pem().as_bytes())?;
        let transport = TransportChoice::Only(transport);
        Ok(JoinOptions { transport, ip, ..JoinOptions::new(at, trust) })
    }

    pub(super) async fn stop(self) {
        self.zone.stop().await;
    }
}

async fn start(ports: [Ports; 2]) -> Result<Zone, Box<dyn Error>> {
    Zone::start(&ports, |config| {
        if !has_ipv6() {
            config.listen.addresses.retain(|address| address.is_ipv4());
        }
    })
    .await
}

/// Whether there is an IPv6 loopback: containers often have none.
pub(super) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join("  ")
}
