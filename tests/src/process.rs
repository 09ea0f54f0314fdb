//! `mmr run` as a process of its own, with what systemd and an operator have of it.

use crate::binary;
use crate::venue::Venue;
use mmr::dev::{ADMIN_SOCKET, Dev};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use wire::stats::Stats;

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often systemd wants to hear of the daemon, in microseconds.
const WATCHDOG_USEC: &str = "400000";

/// A running daemon, on free ports of loopback; ends with its test.
pub struct Process {
    /// Where clients meet.
    pub venue: Venue,
    child: Child,
    /// What systemd would have been told, line by line.
    told: Receiver<String>,
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
        let notified = UnixDatagram::bind(dev.dir().join("notify.sock")).unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || listen(&notified, &tell));
        configure(&dev, addresses, sections);
        let child = Command::new(binary("mmr"))
            .args(["run", "--config"])
            .arg(dev.dir().join("mmr.toml"))
            .env("NOTIFY_SOCKET", dev.dir().join("notify.sock"))
            .env("WATCHDOG_USEC", WATCHDOG_USEC)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Self { venue: Venue { dev, tls: Vec::new() }, child, told };
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

    /// Sends a signal.
    ///
    /// # Panics
    /// When the daemon is gone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Whether systemd is told this within `patience`; what it was told before is passed over.
    pub fn is_told(&self, wanted: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(line) if line.starts_with(wanted) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Forgets what systemd was told so far.
    pub fn forget_told(&self) {
        while self.told.try_recv().is_ok() {}
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

    /// Memory it holds that no file backs, in bytes.
    ///
    /// # Panics
    /// When the daemon is gone.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Descriptors it has open.
    ///
    /// # Panics
    /// When the daemon is gone.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The thread of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn thread(&self, name: &str) -> Pid {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let named = tasks.map(|task| task.unwrap()).find(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        });
        let id = named.expect("the thread runs").file_name();
        Pid::from_raw(id.to_str().unwrap().parse().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// Reads all the time, as systemd does: a full socket would hold the daemon up.
fn listen(socket: &UnixDatagram, tell: &Sender<String>) {
    let mut buffer = [0; 512];
    while let Ok(len) = socket.recv(&mut buffer) {
        for line in String::from_utf8_lossy(&buffer[..len]).lines() {
            if tell.send(line.to_owned()).is_err() {
                return;
            }
        }
    }
}
