//! A zone before it runs: who wants to lead there must know where it will be.

use mmr::dev::Dev;
use std::error::Error;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::path::Path;

/// Operators and agents of a zone prove who they are with it.
pub(crate) const BEARER_FILE: &str = "bearer-token";

/// A zone's name, its keys, and the port of its controller.
pub struct Plan {
    pub(crate) name: String,
    pub(crate) keys: Dev,
    port: u16,
}

/// Where controllers have the public keys of join tokens from, as their configuration says it.
pub struct TokenKeys(String);

impl TokenKeys {
    /// This file.
    pub fn file(jwks: &Path) -> Self {
        Self(format!("[tokens]\nkeys = \"{}\"\n", jwks.display()))
    }

    /// What is published at this URL, by somebody whose certificate this authority signs. It is asked every few seconds.
    pub fn published(url: &str, authority: &Path, cache: &Path) -> Self {
        Self(format!(
            "[keys]\nauthority = \"{}\"\ninterval = \"2s\"\ncache = \"{}\"\n[tokens]\nkeys = \"{url}\"\n",
            authority.display(),
            cache.display(),
        ))
    }
}

impl Plan {
    /// On a port that is free now.
    ///
    /// # Errors
    /// No folder for its keys, or no port.
    pub fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self { port: free_port()?, ..Self::at_any_port(name)? })
    }

    /// On a port that is free when it starts; nobody knows it before.
    pub(crate) fn at_any_port(name: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self { name: name.to_owned(), keys: Dev::temporary()?, port: 0 })
    }

    /// The zone's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its controller will be, over each IP version there is.
    pub fn urls(&self) -> Vec<String> {
        origins(self.port)
    }

    /// Who signs its controller's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.keys.ca_pem()
    }

    pub(crate) fn controller(
        &self,
        TokenKeys(tokens): &TokenKeys,
    ) -> Result<zone_controller::config::Config, Box<dyn Error>> {
        let bearer = format!("{:032x}", rand::random::<u128>());
        write(&self.keys.dir().join(BEARER_FILE), &bearer)?;
        let text = format!(
            "zone = \"{}\"\nname = \"zc-1\"\n\
             [listen]\naddresses = {:?}\nport = {}\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
             {tokens}signing_key = \"signing-key.pem\"\n\
             [agents]\ntokens = \"{BEARER_FILE}\"\n\
             [operators]\ntokens = \"{BEARER_FILE}\"\n\
             [store]\nfile = \"zone.redb\"\n",
            self.name,
            loopback(),
            self.port,
        );
        let file = self.keys.dir().join("zone-controller.toml");
        Ok(zone_controller::config::Config::parse(&file, &text)?)
    }
}

/// The addresses everything listens on: containers often have no IPv6.
pub(crate) fn loopback() -> Vec<&'static str> {
    let has_ipv6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if has_ipv6 { vec!["127.0.0.1", "::1"] } else { vec!["127.0.0.1"] }
}

/// What is reached by HTTPS at this port of loopback.
pub(crate) fn origins(port: u16) -> Vec<String> {
    let host = |address: &str| {
        if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
    };
    loopback().into_iter().map(|address| format!("https://{}:{port}", host(address))).collect()
}

pub(crate) fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub(crate) fn write(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let told = |cause| format!("{} can't be written: {cause}", file.display());
    Ok(std::fs::write(file, text).map_err(told)?)
}
