//! How a TCP connection to a host and port is made: directly, through an HTTP proxy, through an HTTP tunnel, or through
//! both. Whoever speaks TLS, HTTP or media over it does not notice which.
//!
//! ```text
//!  direct            TCP ─────────────────────────────────────────▶ host
//!  proxy             TCP ──▶ proxy: CONNECT host ──────────────────▶ host
//!  tunnel            TCP, TLS ──▶ tunnel: CONNECT host ────────────▶ host
//!  proxy and tunnel  TCP ──▶ proxy: CONNECT tunnel, TLS ──▶ tunnel: CONNECT host ──▶ host
//! ```

mod connect;
mod mmr;
mod proxy;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;

pub(crate) use mmr::MmrDialer;
pub(crate) use proxy::Proxy;
pub use proxy::{Exceptions, ProxyChoice, ProxyUrl};
pub(crate) use stream::{ByteStream, Stream};
pub(crate) use tunnel::Tunnels;

use crate::limits::{ADDRESS_STAGGER, ADDRESSES_MAX};
use crate::options::{IpChoice, Trust};
use crate::way::Way;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::Transport;
use wire::control::Secret;

/// Where a connection goes: a name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Makes connections one way. Clones know of the same proxy and tunnel what has been learned of them.
#[derive(Clone)]
pub(crate) struct Dialer {
    ip: IpChoice,
    trust: Trust,
    proxy: Option<Arc<Proxy>>,
    tunnels: Option<Arc<Tunnels>>,
}

impl Dialer {
    /// Past every proxy.
    pub(crate) fn direct(ip: IpChoice, trust: Trust) -> Self {
        Self { ip, trust, proxy: None, tunnels: None }
    }

    /// The same, through a proxy.
    pub(crate) fn through_proxy(&self, proxy: Proxy) -> Self {
        Self { proxy: Some(Arc::new(proxy)), ..self.clone() }
    }

    /// The same, and from there through the first of these tunnels that will have it.
    pub(crate) fn through_tunnels(&self, tunnels: Tunnels) -> Self {
        Self { tunnels: Some(Arc::new(tunnels)), ..self.clone() }
    }

    /// A connection; callers bring a deadline.
    pub(crate) async fn connect(&self, to: &Target) -> io::Result<Stream> {
        match &self.tunnels {
            Some(tunnels) => tunnels.connect(self, to).await,
            None => self.connect_outside(to).await,
        }
    }

    /// A connection that does not take the tunnel: to the tunnel itself, for one.
    async fn connect_outside(&self, to: &Target) -> io::Result<Stream> {
        match self.proxy_to(&to.host) {
            Some(proxy) => proxy.connect(self, to).await,
            None => self.connect_directly(to).await,
        }
    }

    /// The fastest of a host's addresses, each tried a little after the one before (RFC 8305 §5).
    async fn connect_directly(&self, to: &Target) -> io::Result<Stream> {
        let addresses = self.resolve(to).await?;
        let mut tries = JoinSet::new();
        for (index, address) in (0_u32..).zip(addresses) {
            tries.spawn(async move {
                sleep(ADDRESS_STAGGER * index).await;
                TcpStream::connect(address).await
            });
        }
        let mut last = io::Error::other("it has no address");
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok(Ok(stream)) => return Stream::direct(stream),
                Ok(Err(error)) => last = error,
                Err(_panicked) => {}
            }
        }
        Err(last)
    }

    /// A host's addresses of the IP versions that may be used, in the resolver's order.
    pub(crate) async fn resolve(&self, to: &Target) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = to.host.parse::<IpAddr>() {
            return if self.ip.allows(ip) {
                Ok(vec![(ip, to.port).into()])
            } else {
                Err(no_address())
            };
        }
        let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await?;
        let usable = found.filter(|address| self.ip.allows(address.ip()));
        let usable: Vec<_> = usable.take(ADDRESSES_MAX).collect();
        if usable.is_empty() { Err(no_address()) } else { Ok(usable) }
    }

    /// TLS over a connection, as HTTPS servers have it.
    pub(crate) async fn https(&self, to: &Target, stream: Stream) -> io::Result<TlsStream<Stream>> {
        let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
        TlsConnector::from(tls::https(&self.trust)?).connect(name, stream).await
    }

    fn trust(&self) -> &Trust {
        &self.trust
    }

    /// What connections to a host go through.
    pub(crate) fn way_to(&self, host: &str) -> Way {
        match (&self.tunnels, &self.proxy) {
            (Some(tunnels), Some(proxy)) if proxy.serves(&tunnels.host()) => Way::ProxyAndTunnel,
            (Some(_), _) => Way::Tunnel,
            (None, Some(proxy)) if proxy.serves(host) => Way::Proxy,
            _ => Way::Direct,
        }
    }

    /// Whether an address may be connected to. Proxies and tunnels may have IP versions that this host has not.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.ip.allows(ip) || self.way_to(&ip.to_string()) != Way::Direct
    }

    /// Whether media can go to an address over this transport: through a proxy or a tunnel, TLS alone can.
    pub(crate) fn carries(&self, ip: IpAddr, transport: Transport) -> bool {
        transport == Transport::Tls || self.way_to(&ip.to_string()) == Way::Direct
    }

    /// What is shown to tunnels from now on: who was given a ticket shows that.
    pub(crate) fn show(&self, pass: &Secret) {
        if let Some(tunnels) = &self.tunnels {
            tunnels.show(pass);
        }
    }

    /// The proxy on the way to a host, as it is told to people.
    pub(crate) fn proxy_name(&self, host: &str) -> Option<String> {
        self.proxy_to(host).map(|proxy| proxy.to_string())
    }

    /// The tunnel used last.
    pub(crate) fn tunnel_name(&self) -> Option<String> {
        self.tunnels.as_ref().map(|tunnels| tunnels.name())
    }

    fn proxy_to(&self, host: &str) -> Option<&Proxy> {
        self.proxy.as_deref().filter(|proxy| proxy.serves(host))
    }
}

fn no_address() -> io::Error {
    io::Error::other("none of the IP version asked for")
}
