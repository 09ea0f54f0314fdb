//! `zc-agent run` as a process of its own.

use crate::PATIENCE;
use crate::zone::Zone;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;
use tests::binary;

/// A running agent; ends with its test.
pub struct Agent {
    folder: TempDir,
    child: Child,
    notified: UnixDatagram,
}

impl Agent {
    /// Of the MMR with this admin socket, with the zone's certificate.
    pub fn start(zone: &Zone, socket: &Path, controllers: &[SocketAddr]) -> Self {
        let identity = "certificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"";
        Self::start_with(zone, socket, controllers, identity)
    }

    /// As [`Agent::start`], with another way to say who it is; ready when this returns.
    pub fn start_with(
        zone: &Zone,
        socket: &Path,
        controllers: &[SocketAddr],
        identity: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        zone.equip(folder.path());
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
        let notified = UnixDatagram::bind(folder.path().join("notify.sock")).unwrap();
        notified.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(binary("zc-agent"))
            .args(["run", "--config"])
            .arg(folder.path().join("zc-agent.toml"))
            .env("NOTIFY_SOCKET", folder.path().join("notify.sock"))
            .env("WATCHDOG_USEC", "10000000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { folder, child, notified };
        agent.is_told("READY=1");
        agent
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits until systemd would have been told this.
    pub fn is_told(&self, wanted: &str) {
        let mut buffer = [0; 512];
        loop {
            let len = self.notified.recv(&mut buffer).expect("nothing was told in time");
            if String::from_utf8_lossy(&buffer[..len]).lines().any(|line| line == wanted) {
                return;
            }
        }
    }

    pub fn ends(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
