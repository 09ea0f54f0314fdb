//! `mmr run` as a process of its own, with what an operator has of it.

use crate::binary;
use crate::service::Service;
use crate::venue::Venue;
use mmr::dev::{ADMIN_SOCKET, Dev};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use wire::stats::Stats;

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often systemd wants to hear of the daemon.
const WATCHDOG: Duration = Duration::from_millis(400);

/// A running daemon, on free ports of loopback; ends with its test.
pub struct Process {
    // Ends before its files go.
    service: Service,
    /// Where clients meet.
    pub venue: Venue,
}

impl Process {
    /// Runs the daemon until it says that it is ready. `sections` of TOML are added to its configuration.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(sections: &str) -> Self {
        Self::start_at(&["127.0.0.1", "::1"], sections)
    }

    /// The same, on these addresses.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_at(addresses: &[&str], sections: &str) -> Self {
        let dev = Dev::temporary().unwrap();
        configure(&dev, addresses, sections);
        let mut command = Command::new(binary("mmr"));
        command.args(["run", "--config"]).arg(dev.dir().join("mmr.toml"));
        let service = Service::start(&mut command, dev.dir(), WATCHDOG);
        let mut process = Self { service, venue: Venue { dev, tls: Vec::new() } };
        assert!(process.is_told("READY=1", PATIENCE), "the daemon did not get ready");
        process.venue.tls = process.stats().addresses.tls;
        process
    }

    /// Writes the configuration again, for the next SIGHUP.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn configure(&self, sections: &str) {
        configure(&self.venue.dev, &["127.0.0.1", "::1"], sections);
    }

    /// One request over the admin socket: status and body.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn ask(&self, path: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.admin_socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: mmr\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Its stats.
    ///
    /// # Panics
    /// When it has none to give.
    pub fn stats(&self) -> Stats {
        let (status, body) = self.ask("/stats");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Where its admin socket is.
    pub fn admin_socket(&self) -> PathBuf {
        self.venue.dev.dir().join(ADMIN_SOCKET)
    }

    /// Where control channels and media over TLS go.
    pub fn tls(&self) -> SocketAddr {
        self.venue.tls[0]
    }

    /// Where media over TCP goes.
    pub fn tcp(&self) -> SocketAddr {
        self.stats().addresses.tcp[0]
    }
}

impl Deref for Process {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Service {
        &mut self.service
    }
}

fn configure(dev: &Dev, addresses: &[&str], sections: &str) {
    let socket = dev.dir().join(ADMIN_SOCKET);
    let text = format!(
        "zone = \"dev\"\n\
         [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
         [tokens]\nkeys = \"token-keys.json\"\n\
         [admin]\nsocket = \"{}\"\n\
         [listen]\naddresses = {addresses:?}\nmedia_port = 0\ntls_port = 0\n\
         [workers]\ncount = 2\n\
         {sections}",
        socket.display()
    );
    std::fs::write(dev.dir().join("mmr.toml"), text).unwrap();
}
