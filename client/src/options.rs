//! How a client is told where to go and what to show there.

use crate::ClientError;
use crate::dial::ProxyChoice;
use crate::https::Origin;
use crate::way::{MeetingLink, StepSink};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use wire::Transport;

/// The port of control channel and TLS media when none is named.
pub const TLS_PORT: u16 = 443;

/// Where an MMR's TLS port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MmrAddress {
    /// A name or an IP address; also what the MMR's certificate must be for.
    pub host: String,
    /// Its TLS port.
    pub port: u16,
}

impl fmt::Display for MmrAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for MmrAddress {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address(text.to_owned());
        let whole_ip = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if let Ok(ip) = whole_ip {
            return Ok(Self { host: ip.to_string(), port: TLS_PORT });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
            None => (text, TLS_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let valid = rustls::pki_types::ServerName::try_from(host).is_ok();
        if valid { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

/// What a secret is on a command line: itself, or `@FILE` that holds it, which keeps it out of the process list. Why it
/// can't be had, in the error.
pub(crate) fn argument(argument: &str) -> Result<String, String> {
    let text = match argument.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|cause| format!("{file}: {cause}"))?,
        None => argument.to_owned(),
    };
    Ok(text.trim().to_owned())
}

/// A join token. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// As it was given out.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into().trim().to_owned())
    }

    /// A token on a command line: itself, or `@FILE`, which keeps it out of the process list.
    pub fn from_argument(text: &str) -> Result<Self, ClientError> {
        let token = Self::new(argument(text).map_err(ClientError::Token)?);
        if token.0.is_empty() { Err(ClientError::Token("it is empty".into())) } else { Ok(token) }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How links may travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportChoice {
    /// UDP, then TCP, then TLS, for each kind on its own.
    #[default]
    Auto,
    /// This one or none.
    Only(Transport),
}

impl TransportChoice {
    /// What is tried, in order.
    pub fn transports(self) -> Vec<Transport> {
        match self {
            Self::Auto => Transport::ALL.to_vec(),
            Self::Only(one) => vec![one],
        }
    }
}

impl FromStr for TransportChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = Transport::ALL.into_iter().find(|transport| transport.name() == text);
        match (text, one) {
            ("auto", _) => Ok(Self::Auto),
            (_, Some(transport)) => Ok(Self::Only(transport)),
            _ => Err("one of auto, udp, tcp, tls".into()),
        }
    }
}

/// Which IP version links and control channel use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpChoice {
    /// Whatever there is, in the order the MMR prefers.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl IpChoice {
    /// Whether an address may be used.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Whose certificates are trusted.
#[derive(Clone, Debug)]
pub struct Trust(Arc<rustls::RootCertStore>);

/// Where Linux distributions keep the certificates the system trusts.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

impl Trust {
    /// What the system trusts; `SSL_CERT_FILE` names another bundle.
    pub fn system() -> Result<Self, ClientError> {
        let named = std::env::var("SSL_CERT_FILE").ok();
        let bundle = named
            .as_deref()
            .into_iter()
            .chain(SYSTEM_BUNDLES)
            .find_map(|file| std::fs::read(file).ok());
        let none = || ClientError::Trust("the system has no bundle of certificates".into());
        Self::from_pem(&bundle.ok_or_else(none)?)
    }

    /// Nothing but the certificates in this file.
    pub fn from_file(file: &Path) -> Result<Self, ClientError> {
        let told =
            |cause: &dyn fmt::Display| ClientError::Trust(format!("{}: {cause}", file.display()));
        let pem = std::fs::read(file).map_err(|cause| told(&cause))?;
        Self::from_pem(&pem).map_err(|_| told(&"holds no PEM certificate"))
    }

    /// Nothing but the certificates in this PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ClientError> {
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        // Bundles of a system may hold certificates rustls cannot read; the others serve.
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(ClientError::Trust("there is no certificate".into()));
        }
        Ok(Self(Arc::new(roots)))
    }

    pub(crate) fn roots(&self) -> Arc<rustls::RootCertStore> {
        Arc::clone(&self.0)
    }
}

/// Where a zone controller is asked: `https://HOST` or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerUrl(Arc<Origin>);

impl ControllerUrl {
    pub(crate) fn origin(&self) -> &Origin {
        &self.0
    }
}

impl FromStr for ControllerUrl {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let origin = text.parse().map_err(|_| ClientError::ControllerUrl(text.to_owned()))?;
        Ok(Self(Arc::new(origin)))
    }
}

impl fmt::Display for ControllerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where to join, and what lets one in.
#[derive(Clone, Debug)]
pub enum Destination {
    /// This MMR, for good.
    Mmr {
        /// Where it is.
        at: MmrAddress,
        /// Serves once.
        token: Token,
    },
    /// Whichever MMR the zone's controllers name; another one when that drains or dies.
    Zone {
        /// All of them, in any order.
        controllers: Vec<ControllerUrl>,
        /// Serves once.
        token: Token,
    },
    /// The best zone in which the meeting can be joined, by the whole process: lookup, zone, MMR, media.
    Meeting {
        /// Where it is looked up.
        link: MeetingLink,
        /// What the participant would like to be called: letters, digits, `.`, `_` and `-`.
        name: Option<String>,
    },
}

/// What it takes to join a meeting.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// Where, and as whom.
    pub at: Destination,
    /// Whose certificates count.
    pub trust: Trust,
    /// How links travel.
    pub transport: TransportChoice,
    /// Over which IP version.
    pub ip: IpChoice,
    /// Whether an HTTP proxy may stand in the way.
    pub proxy: ProxyChoice,
    /// Hears what is tried.
    pub told: StepSink,
}

impl JoinOptions {
    /// Over any transport and IP version, past every proxy, without a word.
    pub fn new(at: Destination, trust: Trust) -> Self {
        let (transport, ip) = (TransportChoice::default(), IpChoice::default());
        Self { at, trust, transport, ip, proxy: ProxyChoice::None, told: StepSink::default() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panic
    use super::*;

    #[test]
    fn addresses_are_read_in_every_usual_form() {
        for (text, host, port) in [
            ("mmr.example.org", "mmr.example.org", 443),
            ("mmr.example.org:8443", "mmr.example.org", 8443),
            ("192.0.2.1", "192.0.2.1", 443),
            ("192.0.2.1:8443", "192.0.2.1", 8443),
            ("2001:db8::1", "2001:db8::1", 443),
            ("[2001:db8::1]", "2001:db8::1", 443),
            ("[::1]:8443", "::1", 8443),
        ] {
            let address: MmrAddress = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
        }
        for text in ["", "host:port", "host:99999", "ho st", "https://host/"] {
            assert!(text.parse::<MmrAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_controller_is_an_https_origin() {
        for (text, shown) in [
            ("https://zc.example.org", "https://zc.example.org"),
            ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ] {
            assert_eq!(text.parse::<ControllerUrl>().unwrap().to_string(), shown);
        }
        for text in
            ["zc.example.org", "http://zc/", "https://a:b@zc/", "https://zc/v1", "https://zc/?a"]
        {
            assert!(text.parse::<ControllerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_read_from_a_file_and_never_shown() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"secret.token.text\n").unwrap();
        let token = Token::from_argument(&format!("@{}", file.path().display())).unwrap();
        assert_eq!(token.expose(), "secret.token.text");
        assert!(!format!("{token:?}").contains("secret"));
        assert!(Token::from_argument("@/nowhere").unwrap_err().to_string().contains("/nowhere"));
    }
}
