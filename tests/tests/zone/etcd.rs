//! An etcd cluster, a member on each of the first hosts.

use crate::PATIENCE;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::Lan;

/// Ends when dropped.
pub struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where controllers reach the member on a host.
pub fn endpoint(at: usize) -> String {
    format!("http://{}:2379", Lan::address(at))
}

/// A cluster that agrees.
pub fn start(lan: &Lan, members: usize, folder: &Path) -> Vec<Member> {
    let peer = |at| format!("http://{}:2380", Lan::address(at));
    let all: Vec<_> = (0..members).map(|at| format!("m{at}={}", peer(at))).collect();
    let run = |at: usize| {
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{at}"), "--data-dir"])
            .arg(folder.join(format!("etcd-{at}")))
            .args(["--listen-client-urls", &endpoint(at), "--advertise-client-urls"])
            .args([&endpoint(at), "--listen-peer-urls", &peer(at)])
            .args(["--initial-advertise-peer-urls", &peer(at), "--initial-cluster", &all.join(",")])
            .args(["--logger", "zap", "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = lan.host(at).run(|| command.spawn());
        Member(child.expect("etcd is installed (Debian: etcd-server); tests/run does it"))
    };
    let cluster: Vec<_> = (0..members).map(run).collect();
    for at in 0..members {
        lan.host(at).run(|| wait(at));
    }
    cluster
}

fn wait(at: usize) {
    let started = Instant::now();
    while !is_healthy(at).unwrap_or(false) {
        assert!(started.elapsed() < PATIENCE, "etcd member {at} does not get well");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// etcd is when it has a leader.
fn is_healthy(at: usize) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Lan::address(at), 2379))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains("\"health\":\"true\""))
}
