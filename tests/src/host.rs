//! Hosts and the wires between them: network namespaces and veth pairs.

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;
use std::fs::File;
use std::net::IpAddr;
use std::process::Command;
use std::thread;

/// Whether networks can be built here. Tests that need one return early when not; tests/run says so once.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A network of its own, with loopback up.
pub struct Host {
    namespace: File,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host with nothing but loopback.
    pub fn new() -> Self {
        let namespace = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            command("ip link set lo up");
            File::open(format!("/proc/self/task/{}/ns/net", gettid())).unwrap()
        })
        .join()
        .unwrap();
        Self { namespace }
    }

    /// Runs `body` in this network; threads and processes it starts stay there.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
                body()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs an async body in this network, on a runtime of its own.
    pub fn block_on<T: Send>(&self, body: impl Future<Output = T> + Send) -> T {
        self.run(|| runtime().block_on(body))
    }

    /// Starts `body` on a thread of its own in this network.
    pub fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = self.namespace.try_clone().unwrap();
        thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            drop(namespace);
            body()
        })
    }

    /// Joins an interface of this host and one of another by a veth pair; both are up.
    pub fn join(&self, interface: &str, other: &Self, others: &str) {
        // The pair is made here; its other end moves to the network of a thread over there.
        let (ready, parked) = std::sync::mpsc::channel();
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = other.spawn(move || {
            ready.send(gettid()).unwrap();
            let _ = wait.recv();
        });
        let tid = parked.recv().unwrap();
        self.command(&format!("ip link add {interface} type veth peer name {others} netns {tid}"));
        drop(done);
        thread.join().unwrap();
        self.command(&format!("ip link set {interface} up"));
        other.command(&format!("ip link set {others} up"));
    }

    /// Runs one command line, split at spaces, in this network.
    ///
    /// # Panics
    /// When it fails.
    pub fn command(&self, line: &str) {
        self.run(|| command(line));
    }

    /// Loads an nftables ruleset.
    ///
    /// # Panics
    /// When it is refused.
    pub fn nft(&self, rules: &str) {
        self.run(|| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), rules).unwrap();
            command(&format!("nft -f {}", file.path().display()));
        });
    }

    /// Drops what comes in and fits `matching` (nftables syntax), for example `udp dport 8801`.
    pub fn block(&self, matching: &str) {
        self.nft(&format!(
            "add table inet block\n\
             add chain inet block input {{ type filter hook input priority 0; }}\n\
             add rule inet block input {matching} drop\n"
        ));
    }
}

/// Two hosts joined by a veth pair, with addresses of both families.
pub struct Wire {
    /// One end.
    pub left: Host,
    /// The other.
    pub right: Host,
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Wire {
    /// Addresses of the left end, IPv4 and IPv6.
    pub const LEFT: [&str; 2] = ["10.77.0.1", "fd77::1"];
    /// Addresses of the right end.
    pub const RIGHT: [&str; 2] = ["10.77.0.2", "fd77::2"];
    /// The interface's name at either end.
    pub const INTERFACE: &str = "wire0";

    /// Makes both hosts and the wire.
    pub fn new() -> Self {
        let (left, right) = (Host::new(), Host::new());
        left.join(Self::INTERFACE, &right, Self::INTERFACE);
        for (host, addresses) in [(&left, Self::LEFT), (&right, Self::RIGHT)] {
            for address in addresses {
                let (prefix, flags) = if address.contains(':') { (64, " nodad") } else { (24, "") };
                host.command(&format!(
                    "ip addr add {address}/{prefix} dev {}{flags}",
                    Self::INTERFACE
                ));
            }
        }
        Self { left, right }
    }

    /// The left end's addresses, parsed.
    pub fn left_addresses() -> [IpAddr; 2] {
        Self::LEFT.map(|address| address.parse().unwrap())
    }
}

fn command(line: &str) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
