//! etcd clusters on free ports of loopback, whose members can be killed and come back, and a wire
//! to them that can be cut.

use super::Bed;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A cluster; its members end with it.
pub(crate) struct Cluster {
    dir: TempDir,
    members: Vec<Member>,
    /// `--initial-cluster`.
    peers: String,
    tls: bool,
}

struct Member {
    client: u16,
    peer: u16,
    child: Option<Child>,
}

/// Ports nobody has now.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

impl Cluster {
    /// Plain HTTP.
    pub(crate) async fn start(size: usize) -> Self {
        Self::new(size, false, tempfile::tempdir().unwrap()).await
    }

    /// One member that wants a certificate of the zone's authority.
    pub(crate) async fn with_tls(bed: &Bed) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = bed.certificate("localhost");
        std::fs::write(dir.path().join("certificate.pem"), certificate).unwrap();
        std::fs::write(dir.path().join("key.pem"), key).unwrap();
        std::fs::copy(bed.dir.path().join("authority.pem"), dir.path().join("authority.pem"))
            .unwrap();
        Self::new(1, true, dir).await
    }

    async fn new(size: usize, tls: bool, dir: TempDir) -> Self {
        let ports = free_ports(2 * size);
        let (clients, peers) = ports.split_at(size);
        let both = clients.iter().zip(peers);
        let members = both.map(|(&client, &peer)| Member { client, peer, child: None }).collect();
        let named = peers.iter().enumerate();
        let peers: Vec<_> =
            named.map(|(at, port)| format!("m{at}=http://127.0.0.1:{port}")).collect();
        let mut cluster = Self { dir, members, peers: peers.join(","), tls };
        for at in 0..size {
            cluster.revive(at);
        }
        for at in 0..size {
            cluster.wait(at).await;
        }
        cluster
    }

    /// Starts a member, again.
    pub(crate) fn revive(&mut self, at: usize) {
        let scheme = if self.tls { "https" } else { "http" };
        let member = &mut self.members[at];
        let client = format!("{scheme}://127.0.0.1:{}", member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{at}"), "--data-dir"])
            .arg(self.dir.path().join(format!("m{at}")))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.peers, "--initial-cluster-state", "new"])
            .args(["--heartbeat-interval", "100", "--election-timeout", "1000"])
            .args(["--logger", "zap", "--log-level", "error"]);
        if self.tls {
            let file = |name: &str| self.dir.path().join(name);
            command
                .arg("--client-cert-auth")
                .arg("--cert-file")
                .arg(file("certificate.pem"))
                .arg("--key-file")
                .arg(file("key.pem"))
                .arg("--trusted-ca-file")
                .arg(file("authority.pem"));
        }
        let log = std::fs::File::create(self.log(at)).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        let child = child.expect("etcd is installed (Debian: etcd-server); tests/run does it");
        self.members[at].child = Some(child);
    }

    /// Ends a member without a word.
    pub(crate) fn kill(&mut self, at: usize) {
        let mut child = self.members[at].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn log(&self, at: usize) -> PathBuf {
        self.dir.path().join(format!("m{at}.log"))
    }

    /// Until a member answers.
    pub(crate) async fn wait(&self, at: usize) {
        let port = self.members[at].client;
        for _ in 0..600 {
            let up = is_up(port, self.tls).await;
            if up {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("etcd did not come up: {}", super::read(&self.log(at)));
    }

    pub(crate) fn ports(&self) -> Vec<u16> {
        self.members.iter().map(|member| member.client).collect()
    }

    /// The section `[store]` of a controller.
    pub(crate) fn store(&self) -> String {
        let more =
            "authority = \"authority.pem\"\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";
        let (scheme, more) = if self.tls { ("https", more) } else { ("http", "") };
        let host = if self.tls { "localhost" } else { "127.0.0.1" };
        store(self.ports().iter().map(|port| format!("{scheme}://{host}:{port}"))) + more
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|member| member.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a member answers; with TLS, whether it listens.
async fn is_up(port: u16, tls: bool) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return false };
    if tls {
        return true;
    }
    let request = "GET /health HTTP/1.1\r\nhost: etcd\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.contains("\"true\"")
}

fn store(endpoints: impl Iterator<Item = String>) -> String {
    let endpoints: Vec<_> = endpoints.map(|url| format!("\"{url}\"")).collect();
    format!("[store]\nkind = \"etcd\"\nendpoints = [{}]\n", endpoints.join(", "))
}

/// Wires to every member of a cluster, that can be cut: then nothing comes through, and nobody is
/// told.
pub(crate) struct Wires {
    ports: Vec<u16>,
    cut: watch::Sender<bool>,
}

impl Wires {
    pub(crate) async fn to(cluster: &Cluster) -> Self {
        let (cut, is_cut) = watch::channel(false);
        let mut ports = Vec::new();
        for target in cluster.ports() {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            tokio::spawn(carry(listener, target, is_cut.clone()));
        }
        Self { ports, cut }
    }

    pub(crate) fn store(&self) -> String {
        store(self.ports.iter().map(|port| format!("http://127.0.0.1:{port}")))
    }

    pub(crate) fn cut(&self, cut: bool) {
        self.cut.send(cut).unwrap();
    }
}

async fn carry(listener: tokio::net::TcpListener, target: u16, is_cut: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut is_cut = is_cut.clone();
        tokio::spawn(async move {
            let through = async {
                let mut far = TcpStream::connect(("127.0.0.1", target)).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            };
            tokio::select! {
                _ = through => return,
                _ = is_cut.wait_for(|cut| *cut) => {}
            }
            // Both ends stay open, and nothing moves, until the wire is whole again.
            let _ = is_cut.wait_for(|cut| !*cut).await;
        });
    }
}
