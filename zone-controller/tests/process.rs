//! `zone-controller run` as a process: ready, reload, stop.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::Bed;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

struct Process {
    child: Child,
    notified: UnixDatagram,
    log: Receiver<String>,
}

impl Process {
    fn start(bed: &Bed) -> Self {
        let socket = bed.dir.path().join("notify.sock");
        let notified = UnixDatagram::bind(&socket).unwrap();
        notified.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_zone-controller"))
            .args(["run", "--config"])
            .arg(bed.dir.path().join("zc.toml"))
            .env("NOTIFY_SOCKET", &socket)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, log) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Self { child, notified, log }
    }

    fn wait_told(&self, wanted: &str) {
        let mut buffer = [0; 256];
        loop {
            let len = self.notified.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..len]).lines().any(|line| line == wanted) {
                return;
            }
        }
    }

    fn wait_logged(&self, wanted: &str) {
        while !self.log.recv_timeout(PATIENCE).unwrap().contains(wanted) {}
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn is_ready_reloads_and_ends_as_systemd_wants() {
    let bed = Bed::new();
    let store = "[store]\nfile = \"zone.redb\"\n";
    bed.write("zc.toml", &bed.text("zc", store));
    let mut process = Process::start(&bed);
    process.wait_told("READY=1");
    process.signal("-HUP");
    process.wait_logged("were read again");
    process.wait_told("READY=1");
    bed.write("key.pem", "rubbish");
    process.signal("-HUP");
    process.wait_logged("nothing was changed");
    process.signal("-TERM");
    process.wait_told("STOPPING=1");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_controller_on_the_same_file_is_told_why_not() {
    let bed = Bed::new();
    bed.write("zc.toml", &bed.text("zc", "[store]\nfile = \"zone.redb\"\n"));
    let first = Process::start(&bed);
    first.wait_told("READY=1");
    std::fs::remove_file(bed.dir.path().join("notify.sock")).unwrap();
    let mut second = Process::start(&bed);
    second.wait_logged("several need etcd");
    assert_eq!(second.child.wait().unwrap().code(), Some(1));
}
