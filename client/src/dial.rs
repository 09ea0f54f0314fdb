//! Name lookup, TCP, TLS: the steps below every control channel and every TCP or TLS link.

use crate::options::{IpChoice, MmrAddress, Trust};
use crate::{ClientError, limits};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::zone::ControlPoint;

/// What TLS to one MMR takes.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) mmr: MmrAddress,
    pub(crate) ip: IpChoice,
    /// Where the MMR is; empty: where its name leads.
    addresses: Vec<SocketAddr>,
    name: ServerName<'static>,
    trust: Trust,
}

impl Dialer {
    pub(crate) fn new(mmr: MmrAddress, ip: IpChoice, trust: Trust) -> Result<Self, ClientError> {
        let name = ServerName::try_from(mmr.host.clone())
            .map_err(|_| ClientError::Address(mmr.host.clone()))?;
        Ok(Self { mmr, ip, addresses: Vec::new(), name, trust })
    }

    /// To where a controller says that an MMR is.
    pub(crate) fn assigned(
        at: ControlPoint,
        ip: IpChoice,
        trust: Trust,
    ) -> Result<Self, ClientError> {
        let ControlPoint { name, addresses } = at;
        let usable: Vec<_> = addresses.into_iter().filter(|to| ip.allows(to.ip())).collect();
        let Some(first) = usable.first() else {
            let cause = io::Error::other("the controller names none of the IP version asked for");
            return Err(ClientError::Resolve { host: name, cause });
        };
        let mmr = MmrAddress { host: name, port: first.port() };
        Ok(Self { addresses: usable, ..Self::new(mmr, ip, trust)? })
    }

    /// Every address of the MMR that may be used, in the resolver's order.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, ClientError> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        let MmrAddress { host, port } = &self.mmr;
        let error = |cause| ClientError::Resolve { host: host.clone(), cause };
        let found = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(error)?;
        let usable: Vec<_> = found.filter(|address| self.ip.allows(address.ip())).collect();
        if usable.is_empty() {
            return Err(error(io::Error::other("none of the IP version asked for")));
        }
        Ok(usable)
    }

    /// A TCP connection with the kernel's own patience; callers bring a deadline.
    pub(crate) async fn tcp(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        // Packets are written whole; waiting for more of them only delays media.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// TLS 1.3 over a connection, with one ALPN protocol; an answer without it is refused.
    pub(crate) async fn tls(
        &self,
        stream: TcpStream,
        alpn: &[u8],
    ) -> io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .with_root_certificates(self.trust.roots())
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream =
            TlsConnector::from(Arc::new(config)).connect(self.name.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(alpn) {
            return Err(io::Error::other(
                "the server does not speak the protocol asked for (ALPN)",
            ));
        }
        Ok(stream)
    }

    /// A TLS connection for the control channel: the first address that takes it.
    pub(crate) async fn control(&self) -> Result<(SocketAddr, TlsStream<TcpStream>), ClientError> {
        let mut last = ClientError::Timeout("name lookup");
        for address in self.resolve().await? {
            match self.control_at(address).await {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn control_at(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, ClientError> {
        let connected = timeout(limits::TLS_DEADLINE, self.tcp(address)).await;
        let stream = connected
            .map_err(|_| ClientError::Connect { address, cause: io::ErrorKind::TimedOut.into() })?
            .map_err(|cause| ClientError::Connect { address, cause })?;
        let secured = timeout(limits::TLS_DEADLINE, self.tls(stream, wire::control::ALPN_CONTROL));
        secured
            .await
            .map_err(|_| ClientError::Tls { address, cause: io::ErrorKind::TimedOut.into() })?
            .map_err(|cause| ClientError::Tls { address, cause })
    }
}
