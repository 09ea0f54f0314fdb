//! `zc-agent run` as a process of its own.

use crate::PATIENCE;
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;
use tests::authority::Authority;
use tests::binary;
use tests::service::Service;

/// A running agent; ends with its test.
pub struct Agent {
    // Ends before its files go.
    service: Service,
    folder: TempDir,
}

impl Agent {
    /// Of the MMR with this admin socket, with the zone's certificate.
    pub fn start(zone: &Authority, socket: &Path, controllers: &[SocketAddr]) -> Self {
        let identity = "certificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"";
        Self::start_with(zone, socket, controllers, identity)
    }

    /// As [`Agent::start`], with another way to say who it is; ready when this returns.
    pub fn start_with(
        zone: &Authority,
        socket: &Path,
        controllers: &[SocketAddr],
        identity: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        equip(folder.path(), zone);
        std::fs::write(folder.path().join("token"), "of-the-agent\n").unwrap();
        let urls: Vec<String> =
            controllers.iter().map(|address| format!("\"https://{address}\"")).collect();
        let config = format!(
            "zone = \"dev\"\n\
             [mmr]\nid = \"mmr-1\"\nsocket = \"{}\"\n\
             [controllers]\nurls = [{}]\nca = \"zone-ca.pem\"\n{identity}\n",
            socket.display(),
            urls.join(", ")
        );
        std::fs::write(folder.path().join("zc-agent.toml"), config).unwrap();
        let mut command = Command::new(binary("zc-agent"));
        command.args(["run", "--config"]).arg(folder.path().join("zc-agent.toml"));
        let service = Service::start(&mut command, folder.path(), Duration::from_secs(10));
        let agent = Self { service, folder };
        agent.is_told("READY=1");
        agent
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn signal(&self, signal: Signal) {
        self.service.signal(signal);
    }

    /// Waits until systemd would have been told this.
    pub fn is_told(&self, wanted: &str) {
        assert!(self.service.is_told(wanted, PATIENCE), "{wanted} was not told in time");
    }

    pub fn ends(&mut self) -> ExitStatus {
        self.service.ends()
    }
}

/// Writes what an agent of this zone is configured with.
pub fn equip(folder: &Path, zone: &Authority) {
    let issued = zone.issue("mmr-1.example.org");
    std::fs::write(folder.join("zone-ca.pem"), &zone.pem).unwrap();
    std::fs::write(folder.join("certificate.pem"), issued.certificate).unwrap();
    std::fs::write(folder.join("certificate-key.pem"), issued.key).unwrap();
}
