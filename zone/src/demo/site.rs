//! Everything of the demo, all real, in this process: web infrastructure, two zones of a controller and two MMRs with their
//! agents, an HTTP tunnel, and two networks that let little out.

use super::meeting::{Network, Seat};
use super::proxy::Proxy;
use client::{ClientError, Destination, JoinOptions, MeetingLink, ProxyChoice, Trust};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use zone::{Member, Plan, Ports, Tunnel, Web, Zone};

const ZONES: [&str; 2] = ["north", "south"];
/// The usual ones. The other MMRs take free ones: all are on one host here.
const USUAL: Ports = Ports { media: 8801, tls: 443 };
const FREE: Ports = Ports { media: 0, tls: 0 };

/// Everything that runs.
pub(super) struct Site {
    web: Web,
    pub(super) zones: Vec<Zone>,
    tunnel: Tunnel,
    /// Lets everything out that speaks TLS.
    office: Proxy,
    /// Lets nothing out but to the web infrastructure and the tunnel.
    hotel: Proxy,
    trust: Trust,
}

impl Site {
    /// Starts it with the first MMR on the usual ports, or on free ones with a remark why.
    pub(super) async fn start() -> Result<(Self, Option<String>), Box<dyn Error>> {
        match Self::start_at(USUAL).await {
            Ok(site) => Ok((site, None)),
            Err(cause) => {
                let remark = format!("{cause} Free ports are taken instead.");
                Ok((Self::start_at(FREE).await?, Some(remark)))
            }
        }
    }

    async fn start_at(first: Ports) -> Result<Self, Box<dyn Error>> {
        let plans = ZONES.into_iter().map(Plan::new).collect::<Result<Vec<_>, _>>()?;
        let mut tunnel = Tunnel::plan()?;
        let web = Web::start(&plans, &tunnel).await?;
        let mut zones = Vec::new();
        for (plan, ports) in plans.into_iter().zip([[first, FREE], [FREE, FREE]]) {
            zones.push(start_zone(plan, &web, ports).await?);
        }
        tunnel.start(&web, &zones).await?;
        web.wait_for_zones().await?;
        let authorities: String = zones.iter().map(Zone::ca_pem).collect();
        let authorities = [web.ca_pem(), tunnel.ca_pem(), &authorities].concat();
        let outside = [web.addresses(), tunnel.addresses()].concat();
        Ok(Self {
            office: Proxy::start(None).await?,
            hotel: Proxy::start(Some(outside)).await?,
            trust: Trust::from_pem(authorities.as_bytes())?,
            web,
            zones,
            tunnel,
        })
    }

    /// Who listens where, on what.
    pub(super) async fn introduction(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let mut lines = vec![
            format!(
                "web        {}: meetings, their lookup, the keys of join tokens",
                self.web.url()
            ),
            format!("tunnel     {}", self.tunnel.urls().join("  ")),
            format!(
                "proxies    {} lets TLS out, {} to web and tunnel alone",
                self.office.address(),
                self.hotel.address()
            ),
        ];
        for zone in &self.zones {
            lines.push(format!("zone       {}, controller {}", zone.name(), zone.url()));
            for Member { id, daemon, .. } in zone.members() {
                let Some(daemon) = daemon else { continue };
                let stats = daemon.stats().await?;
                let backend = stats.workers.first().map_or("", |worker| &worker.backend);
                let addresses = daemon.addresses();
                lines.extend([
                    format!(
                        "  {id}    {} workers, backend {backend}, and its agent",
                        stats.workers.len()
                    ),
                    format!("    UDP, TCP {}", list(&addresses.udp)),
                    format!("    TLS      {}", list(&addresses.tls)),
                ]);
            }
        }
        Ok(lines)
    }

    /// A new meeting: its links, over IPv4 and IPv6.
    pub(super) async fn meeting(&self, title: &str) -> Result<Vec<MeetingLink>, Box<dyn Error>> {
        let links = self.web.create(title).await?;
        Ok(links.iter().map(|link| link.parse()).collect::<Result<_, _>>()?)
    }

    /// What went through each MMR.
    pub(super) async fn summary(&self) -> Result<String, Box<dyn Error>> {
        let mut lines = Vec::new();
        let members = self
            .zones
            .iter()
            .flat_map(|zone| zone.members().iter().map(move |member| (zone.name(), member)));
        for (zone, Member { id, daemon, .. }) in members {
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
                "{zone}/{id}: {} media packets in, {} packets out, {} sent again, dropped: {}",
                sum(|worker| worker.received.values().map(|traffic| traffic.packets).sum()),
                sum(|worker| worker.sent.values().map(|traffic| traffic.packets).sum()),
                sum(|worker| worker.retransmitted),
                if drops.is_empty() { "none".to_owned() } else { drops.join(", ") },
            ));
        }
        Ok(lines.join("\n"))
    }

    /// By the meeting's link, from this seat's network.
    pub(super) fn join_options(
        &self,
        links: &[MeetingLink],
        name: &str,
        seat: Seat,
    ) -> Result<JoinOptions, ClientError> {
        let Seat { network, transport, ip } = seat;
        let link = links[usize::from(seat.is_ipv6())].clone();
        let at = Destination::Meeting { link, name: Some(name.to_owned()) };
        let through = |proxy: &Proxy| {
            let url = format!("http://{}", proxy.address());
            url.parse().map(ProxyChoice::Through)
        };
        let proxy = match network {
            Network::Open => ProxyChoice::None,
            Network::Office => through(&self.office)?,
            Network::Hotel => through(&self.hotel)?,
        };
        Ok(JoinOptions { transport, ip, proxy, ..JoinOptions::new(at, self.trust.clone()) })
    }

    pub(super) async fn stop(self) {
        for zone in self.zones {
            zone.stop().await;
        }
        self.web.stop().await;
    }
}

async fn start_zone(plan: Plan, web: &Web, ports: [Ports; 2]) -> Result<Zone, Box<dyn Error>> {
    Zone::start_planned(plan, &web.keys(), &ports, |config| {
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
