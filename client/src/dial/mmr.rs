//! One MMR's TLS port: where it is, how it is reached, TLS 1.3 with it.

use super::{Dialer, Stream, Target, tls};
use crate::options::MmrAddress;
use crate::way::Way;
use crate::{ClientError, limits};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::zone::ControlPoint;

/// What control channel and links to one MMR take.
#[derive(Clone)]
pub(crate) struct MmrDialer {
    pub(crate) mmr: MmrAddress,
    pub(crate) dialer: Dialer,
    /// Where the MMR is; empty: where its name leads.
    addresses: Vec<SocketAddr>,
    name: ServerName<'static>,
}

impl MmrDialer {
    pub(crate) fn new(mmr: MmrAddress, dialer: Dialer) -> Result<Self, ClientError> {
        let name = ServerName::try_from(mmr.host.clone())
            .map_err(|_| ClientError::Address(mmr.host.clone()))?;
        Ok(Self { mmr, dialer, addresses: Vec::new(), name })
    }

    /// To where a controller says that an MMR is.
    pub(crate) fn assigned(at: ControlPoint, dialer: Dialer) -> Result<Self, ClientError> {
        let ControlPoint { name, addresses } = at;
        let usable = addresses.into_iter().filter(|to| dialer.allows(to.ip()));
        let usable: Vec<_> = usable.take(limits::ADDRESSES_MAX).collect();
        let Some(first) = usable.first() else {
            let cause = io::Error::other("the controller names none of the IP version asked for");
            return Err(ClientError::Resolve { host: name, cause });
        };
        let mmr = MmrAddress { host: name, port: first.port() };
        Ok(Self { addresses: usable, ..Self::new(mmr, dialer)? })
    }

    /// What its control channel goes through.
    pub(crate) fn way(&self) -> Way {
        let first = self.addresses.first().map(|address| address.ip().to_string());
        self.dialer.way_to(&first.unwrap_or_else(|| self.mmr.host.clone()))
    }

    /// Everywhere the MMR may be, in the controller's or the resolver's order. Who else connects there resolves
    /// its name, too.
    pub(crate) async fn targets(&self) -> Result<Vec<Target>, ClientError> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.iter().copied().map(Target::from).collect());
        }
        let MmrAddress { host, port } = self.mmr.clone();
        let by_name = Target { host: host.clone(), port };
        if self.dialer.way_to(&host) != Way::Direct {
            return Ok(vec![by_name]);
        }
        let error = |cause| ClientError::Resolve { host: host.clone(), cause };
        let found = self.dialer.resolve(&by_name).await.map_err(error)?;
        Ok(found.into_iter().map(Target::from).collect())
    }

    /// A connection to one of the targets, or to a link's address; callers bring a deadline.
    pub(crate) async fn connect(&self, to: &Target) -> io::Result<Stream> {
        self.dialer.connect(to).await
    }

    /// TLS 1.3 over a connection, with one ALPN protocol; an answer without it is refused.
    pub(crate) async fn tls(&self, stream: Stream, alpn: &[u8]) -> io::Result<TlsStream<Stream>> {
        let config = tls::mmr(self.dialer.trust(), alpn)?;
        let stream = TlsConnector::from(config).connect(self.name.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(alpn) {
            return Err(io::Error::other(
                "the server does not speak the protocol asked for (ALPN)",
            ));
        }
        Ok(stream)
    }

    /// A TLS connection for the control channel: the first target that takes it.
    pub(crate) async fn control(&self) -> Result<(Target, TlsStream<Stream>), ClientError> {
        let mut last = ClientError::Timeout("name lookup");
        for target in self.targets().await? {
            match self.control_at(&target).await {
                Ok(stream) => return Ok((target, stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn control_at(&self, target: &Target) -> Result<TlsStream<Stream>, ClientError> {
        let address = || target.to_string();
        let silent = || io::Error::from(io::ErrorKind::TimedOut);
        let connected = timeout(limits::TLS_DEADLINE, self.connect(target)).await;
        let stream = connected
            .unwrap_or_else(|_| Err(silent()))
            .map_err(|cause| ClientError::Connect { address: address(), cause })?;
        let secured = timeout(limits::TLS_DEADLINE, self.tls(stream, wire::control::ALPN_CONTROL));
        secured
            .await
            .unwrap_or_else(|_| Err(silent()))
            .map_err(|cause| ClientError::Tls { address: address(), cause })
    }
}
