//! Packet captures by tshark, read back as fields.

use crate::Host;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A capture that is running on a host.
pub struct Capture {
    tshark: Child,
    folder: TempDir,
}

/// One captured packet's fields, in the order asked for; empty where a packet has none.
pub type Fields = Vec<String>;

impl Capture {
    /// Starts capturing on an interface of `host` and waits until packets are really taken.
    ///
    /// # Panics
    /// When tshark is missing or refuses.
    pub fn start(host: &Host, interface: &str, filter: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("capture.pcapng");
        let tshark = host.run(|| {
            let mut tshark = Command::new("tshark")
                .args(["-i", interface, "-f", filter, "-w"])
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("tshark is installed by tests/run");
            let mut log = BufReader::new(tshark.stderr.take().unwrap());
            let mut said = String::new();
            // "Capture started." comes when the socket is open.
            while !said.contains("Capture started") {
                let line = log.read_line(&mut said).unwrap();
                assert!(line > 0, "tshark ended: {said}");
            }
            // Read on, or tshark would stop at a full pipe.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            tshark
        });
        Self { tshark, folder }
    }

    /// Ends the capture; nothing that was taken is lost.
    pub fn stop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.tshark.id()).unwrap());
        // tshark writes what it has on SIGINT; an error means that it has ended.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        let _ = self.tshark.wait();
    }

    /// Reads `fields` of every packet of a stopped capture that `filter` (display syntax) shows. `options` go to
    /// tshark as they are.
    ///
    /// # Panics
    /// When tshark refuses them.
    pub fn read(&self, options: &[&str], filter: &str, fields: &[&str]) -> Vec<Fields> {
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(self.folder.path().join("capture.pcapng")).args(options);
        tshark.args(["-Y", filter, "-T", "fields", "-E", "separator=;"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        let output = tshark.stderr(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "tshark could not read its capture");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split(';').map(str::to_owned).collect())
            .collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}
