//! A PostgreSQL cluster of a test's own. Nothing of it is left behind.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Debian's, which any host has: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until it is dropped.
pub(crate) struct Postgres {
    server: Child,
    port: u16,
    _dir: TempDir,
}

impl Postgres {
    /// A new cluster on a free port of loopback.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = dir.path().join("data");
        let made = tool("initdb")
            .args(["--username=web", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
            .arg(&data)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = tool("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", &format!("unix_socket_directories={}", dir.path().display())])
            .args(["-p", &port.to_string()])
            .current_dir(dir.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self { server, port, _dir: dir };
        let since = Instant::now();
        while !tool("pg_isready")
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .status()
            .unwrap()
            .success()
        {
            assert!(since.elapsed() < PATIENCE, "PostgreSQL does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        postgres
    }

    /// Its database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://web@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.server.id().cast_signed());
        // An immediate shutdown: its processes end with it.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.server.wait();
    }
}

/// One of PostgreSQL's programs, run by somebody it accepts.
fn tool(name: &str) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(path(name));
    }
    let id = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(path(name));
    command
}

/// Debian keeps them out of the path, by version.
fn path(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    found.filter(|path| path.exists()).max().unwrap_or_else(|| Path::new(name).to_owned())
}
