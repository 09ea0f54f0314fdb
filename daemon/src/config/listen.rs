//! What every daemon that listens is told alike: on which addresses, with which certificate.

use super::ConfigError;
use super::source::{List, Number, Source, Text};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use toml::Spanned;

/// The most addresses there is a reason to listen on.
const ADDRESSES_MAX: usize = 8;

/// Addresses and port. Port 0 takes a free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Local addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// The same on each.
    pub port: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            addresses: vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            port: 443,
        }
    }
}

/// The table `[listen]` of who listens on one port, as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenTable {
    addresses: List<String>,
    port: Number,
}

impl ListenTable {
    /// All addresses, port 443, unless something else is written.
    ///
    /// # Errors
    /// The first value that can't be used.
    pub fn check(self, source: Source<'_>) -> Result<Listen, ConfigError> {
        let defaults = Listen::default();
        let port = source.number(self.port, 0..=65_535, defaults.port)?;
        let addresses = source.listen_addresses(self.addresses, defaults.addresses)?;
        Ok(Listen { addresses, port })
    }
}

/// The files of a certificate chain and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[tls]` as it stands in a file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    certificate: Text,
    key: Text,
}

impl TlsTable {
    /// Both, from the configuration's folder.
    ///
    /// # Errors
    /// One is missing or empty.
    pub fn check(self, source: Source<'_>) -> Result<TlsFiles, ConfigError> {
        let certificate = source.required(
            self.certificate,
            "tls.certificate",
            "Name the PEM file with the certificate chain, leaf first.",
        )?;
        let key =
            source.required(self.key, "tls.key", "Name the PEM file with the private key.")?;
        Ok(TlsFiles { certificate: source.path(&certificate), key: source.path(&key) })
    }
}

impl Source<'_> {
    /// Addresses to listen on, or the default.
    ///
    /// # Errors
    /// None, too many, one twice, or what is no address.
    pub fn listen_addresses(
        self,
        list: List<String>,
        default: Vec<IpAddr>,
    ) -> Result<Vec<IpAddr>, ConfigError> {
        let span = list.as_ref().map(Spanned::span);
        let addresses = self.addresses(list)?.unwrap_or(default);
        if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
            return Err(self.wrong(
                span.unwrap_or(0..0),
                format!("there must be 1 to {ADDRESSES_MAX} addresses to listen on"),
                "List them, such as [\"0.0.0.0\", \"::\"].",
            ));
        }
        Ok(addresses)
    }

    /// A list of addresses, each once.
    ///
    /// # Errors
    /// One twice, or what is no address.
    pub fn addresses(self, list: List<String>) -> Result<Option<Vec<IpAddr>>, ConfigError> {
        let Some(list) = list else { return Ok(None) };
        let mut parsed = Vec::new();
        for text in list.into_inner() {
            let address: IpAddr = text.get_ref().parse().map_err(|_| {
                self.wrong(
                    text.span(),
                    format!("\"{}\" is not an IP address", text.get_ref()),
                    "Write an IPv4 or IPv6 address without a port; names are not looked up.",
                )
            })?;
            if parsed.contains(&address) {
                let reason = format!("{address} is listed twice");
                return Err(self.wrong(text.span(), reason, "List each address once."));
            }
            parsed.push(address);
        }
        Ok(Some(parsed))
    }
}
