//! What leads into zones: the web infrastructure, where meetings are looked up, and an HTTP tunnel.

use crate::plan::{Plan, TokenKeys, free_port, loopback, origins, write};
use crate::zone::Zone;
use mmr::dev::Dev;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use wire::lookup::{KEYS_PATH, LINK_PATH, NewMeeting};

/// How long controllers may take to be seen: they are asked once a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running web infrastructure. Ends when it is dropped.
pub struct Web {
    daemon: web::Daemon,
    zones: usize,
    port: u16,
    dev: Dev,
}

impl Web {
    /// Starts before the zones it leads to, since it signs their tokens; and before the tunnel.
    ///
    /// # Errors
    /// Anything that can't be had.
    pub async fn start(zones: &[Plan], tunnel: &Tunnel) -> Result<Self, Box<dyn Error>> {
        let (dev, port) = (Dev::temporary()?, free_port()?);
        let authorities: String = zones.iter().map(Plan::ca_pem).collect();
        write(&dev.dir().join("controllers.pem"), &authorities)?;
        let mut text = format!(
            "url = \"{}\"\n\
             [listen]\naddresses = {:?}\nport = {port}\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
             [store]\nfile = \"web.db\"\n\
             [tokens]\nsigning_keys = [\"signing-key.pem\"]\n\
             [health]\nauthority = \"controllers.pem\"\ninterval = \"1s\"\n\
             [tunnels]\nurls = {:?}\n",
            origins(port)[0],
            loopback(),
            tunnel.urls(),
        );
        for zone in zones {
            let (name, urls) = (zone.name(), zone.urls());
            text += &format!("[[zones]]\nname = \"{name}\"\ncontrollers = {urls:?}\n");
        }
        let config = web::config::Config::parse(&dev.dir().join("mmr-web.toml"), &text)?;
        let daemon = web::Daemon::start(&config).await?;
        Ok(Self { daemon, zones: zones.len(), port, dev })
    }

    /// The public keys of its tokens.
    pub fn keys(&self) -> TokenKeys {
        let cache = self.dev.dir().join("keys");
        TokenKeys::published(&self.keys_url(), &self.dev.ca_file(), &cache)
    }

    /// Waits until it has seen a controller of every zone.
    ///
    /// # Errors
    /// They don't come.
    pub async fn wait_for_zones(&self) -> Result<(), Box<dyn Error>> {
        let all = async {
            while self.daemon.zones_answering() < self.zones {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = |_| "the web infrastructure can't see every zone: see the log (RUST_LOG=info)";
        Ok(tokio::time::timeout(PATIENCE, all).await.map_err(late)?)
    }

    /// A new meeting: its link over each IP version there is, IPv4 first.
    ///
    /// # Errors
    /// It can't be kept.
    pub async fn create(&self, title: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let asked = NewMeeting { title: title.to_owned(), passcode: None };
        let made = self.daemon.create(&asked).await.map_err(|refusal| refusal.message)?;
        let link = |origin| format!("{origin}{LINK_PATH}{}#{}", made.meeting, &*made.passcode);
        Ok(origins(self.port).into_iter().map(link).collect())
    }

    /// Where it is, over IPv4.
    pub fn url(&self) -> String {
        origins(self.port).swap_remove(0)
    }

    /// The addresses it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.daemon.addresses()
    }

    /// Who signs its certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.dev.ca_pem()
    }

    /// Ends it.
    pub async fn stop(self) {
        self.daemon.stop().await;
    }

    fn keys_url(&self) -> String {
        format!("{}{KEYS_PATH}", self.url())
    }
}

/// An HTTP tunnel, planned or running. Ends when it is dropped.
pub struct Tunnel {
    daemon: Option<http_tunnel::Daemon>,
    port: u16,
    dev: Dev,
}

impl Tunnel {
    /// Where it will be.
    ///
    /// # Errors
    /// No folder for its keys, or no port.
    pub fn plan() -> Result<Self, Box<dyn Error>> {
        Ok(Self { daemon: None, port: free_port()?, dev: Dev::temporary()? })
    }

    /// Starts it, leading to these zones, for who shows a token of the web infrastructure or a ticket of a zone.
    ///
    /// # Errors
    /// Anything that can't be had.
    pub async fn start(&mut self, web: &Web, zones: &[Zone]) -> Result<(), Box<dyn Error>> {
        let mut text = format!(
            "[listen]\naddresses = {:?}\nport = {}\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
             [keys]\nauthority = \"{}\"\ninterval = \"2s\"\ncache = \"keys\"\n",
            loopback(),
            self.port,
            web.dev.ca_file().display(),
        );
        for zone in zones {
            let targets: Vec<String> = zone.targets().iter().map(SocketAddr::to_string).collect();
            text += &format!(
                "[[zones]]\nname = \"{}\"\nkeys = [\"{}\", \"{}\"]\ncontrollers = {targets:?}\n",
                zone.name(),
                web.keys_url(),
                zone.ticket_keys().display(),
            );
        }
        let file = self.dev.dir().join("http-tunnel.toml");
        let daemon =
            http_tunnel::Daemon::start(&http_tunnel::config::Config::parse(&file, &text)?)?;
        daemon.ready().await;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Where it is, over each IP version there is.
    pub fn urls(&self) -> Vec<String> {
        origins(self.port)
    }

    /// The addresses it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.daemon.as_ref().map_or(&[], |daemon| daemon.addresses())
    }

    /// Who signs its certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.dev.ca_pem()
    }
}
