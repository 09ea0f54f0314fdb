//! A daemon as a process of its own, with what systemd has of it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Where systemd would be told, within the service's folder.
const NOTIFIED: &str = "notify.sock";

/// A running process; ends with its test.
pub struct Service {
    child: Child,
    /// What systemd would have been told, line by line.
    told: Mutex<Receiver<String>>,
}

impl Service {
    /// Runs `command`, which is to tell systemd of itself every `watchdog`, and has its files in `folder`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(command: &mut Command, folder: &Path, watchdog: Duration) -> Self {
        let socket = folder.join(NOTIFIED);
        // Of the process that ran there before.
        let _ = std::fs::remove_file(&socket);
        let notified = UnixDatagram::bind(&socket).unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || listen(&notified, &tell));
        let child = command
            .env("NOTIFY_SOCKET", socket)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, told: Mutex::new(told) }
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn ends(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
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
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether systemd is told this within `patience`; what it was told before is passed over.
    ///
    /// # Panics
    /// When a thread panicked while it asked the same.
    pub fn is_told(&self, wanted: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let told = self.told.lock().unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match told.recv_timeout(left) {
                Ok(line) if line.starts_with(wanted) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Forgets what systemd was told so far.
    ///
    /// # Panics
    /// When a thread panicked while it asked the same.
    pub fn forget_told(&self) {
        let told = self.told.lock().unwrap();
        while told.try_recv().is_ok() {}
    }

    /// Memory it holds that no file backs, in bytes.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Descriptors it has open.
    ///
    /// # Panics
    /// When the process is gone.
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

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
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
