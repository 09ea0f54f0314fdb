//! The controller as a process, with certificate, keys and tokens of its own.

use crate::Failure;
use crate::connection::Connection;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::pki_types::ServerName;
use serde_json::json;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wire::Kind;
use wire::token::{Claims, Role, Signer};

const AGENT: &str = "agent-0123456789-0123456789-0123456789";

pub(crate) struct Zone {
    child: Child,
    address: SocketAddr,
    tls: TlsConnector,
    web: Signer,
    /// One report, as a form.
    report: String,
    /// Removed with it.
    _dir: TempDir,
}

impl Zone {
    /// A controller on this core; this process moves to the others.
    pub(crate) fn start(core: usize) -> Result<Self, Failure> {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        let dir = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (web, own) = (Signer::generate(), Signer::generate());
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = format!(
            "zone = \"load\"\nname = \"zc\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nport = {}\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [tokens]\nkeys = \"token-keys.json\"\nsigning_key = \"signing-key.pem\"\n\
             [agents]\ntokens = \"agents\"\n\
             [store]\nfile = \"zone.redb\"\n\
             [limits]\nconnections = 65536\nconnections_per_address = 65536\n\
             requests_per_address_per_s = 1000000\nrequests_per_address_burst = 1000000\n\
             [log]\nfilter = \"warn\"\n",
            address.port()
        );
        for (name, text) in [
            ("zone-controller.toml", config),
            ("certificate.pem", made.cert.pem()),
            ("key.pem", made.signing_key.serialize_pem()),
            ("token-keys.json", web.public_jwks()),
            ("signing-key.pem", own.private_pem()),
            ("agents", AGENT.to_owned()),
        ] {
            std::fs::write(dir.path().join(name), text)?;
        }
        let binary = std::env::current_exe()?.with_file_name("zone-controller");
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(binary)
            .args(["run", "--config"])
            .arg(dir.path().join("zone-controller.toml"))
            .stdin(Stdio::null())
            .spawn()?;
        leave_core(core)?;
        std::thread::sleep(Duration::from_millis(500));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            child,
            address,
            tls: TlsConnector::from(Arc::new(tls)),
            web,
            report: report(),
            _dir: dir,
        })
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        Ok(Connection::new(self.tls.connect(name, stream).await?))
    }

    /// A report as large as an agent's on a host of eight cores.
    pub(crate) fn report(&self, mmr: usize, sequence: u64) -> Vec<u8> {
        // Written once: making it anew would keep the client busier than the controller that reads it.
        let body = self.report.replacen(MMR, &format!("mmr-{mmr}"), 1);
        let body = body.replacen(SEQUENCE, &format!("\"sequence\":{sequence},"), 1);
        request(wire::load::PATH, &format!("authorization: Bearer {AGENT}\r\n"), &body)
    }

    /// So many people's first questions, a meeting's one after the other, so many a second. Their tokens end as if each
    /// had looked its meeting up just before.
    pub(crate) fn asks(&self, count: usize, meeting: usize, per_s: usize) -> Vec<Vec<u8>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let ask = |person: usize| {
            let meeting = format!("meeting-{}", person / meeting.max(1));
            let claims = Claims {
                aud: "load".into(),
                meeting: meeting.clone(),
                sub: format!("person-{person}"),
                role: Role::Attendee,
                kinds: Kind::ALL.to_vec(),
                iat: now,
                exp: now + 300 + (person / per_s.max(1)) as u64,
                jti: format!("{person:032x}"),
            };
            let body =
                json!({ "meeting": meeting, "kinds": Kind::ALL, "token": self.web.sign(&claims) });
            request(wire::zone::ASSIGN_PATH, "", &body.to_string())
        };
        (0..count).map(ask).collect()
    }

    /// Resident memory of the controller, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no RssAnon")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// Its time on the core so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks: u32 = ticks.sum::<Result<u32, _>>()?;
        // USER_HZ has been 100 on every Linux there is.
        Ok(f64::from(ticks) / 100.0)
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn leave_core(core: usize) -> Result<(), Failure> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut others = CpuSet::new();
    for at in (0..CpuSet::count()).filter(|at| *at != core && allowed.is_set(*at).unwrap_or(false))
    {
        others.set(at)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &others)?)
}

/// What [`Zone::report`] puts something else for.
const MMR: &str = "the-mmr";
const SEQUENCE: &str = "\"sequence\":0,";

fn report() -> String {
    let flow = json!({ "packets_per_s": 123_456, "bits_per_s": 1_234_567_890_u64 });
    let kind = json!({ "received": flow, "sent": flow, "streams": 400, "links": 1200, "links_waiting": 3 });
    let worker = |at: usize| {
        json!({
            "worker": at, "core": at, "busy": 0.31, "softirq": 0.12, "received": flow, "sent": flow,
            "drops_per_s": 1, "ring_overflows_per_s": 0, "heartbeat_age_ms": 3,
        })
    };
    let resource =
        |name: &str| json!({ "resource": name, "used": 0.25, "threshold": 0.8, "stress": 0.31 });
    let table = |name: &str| json!({ "table": name, "used": 1200, "size": 16_384 });
    let resources =
        ["worker", "core", "network", "memory", "links", "layers", "routes"].map(resource);
    let capacity = ["links", "layers", "routes", "channels", "connections"].map(table);
    let address = "192.0.2.7:443";
    let body = json!({
        "v": 1, "mmr": MMR, "zone": "load", "epoch_ms": 1_800_000_000_000_u64,
        "sequence": 0, "interval_ms": 1_000, "state": "serving", "agent": "0.1.0",
        "control": { "name": "mmr.example.org", "addresses": [address, "[2001:db8::7]:443"] },
        "stress": {
            "value": 0.31, "resource": "worker", "level": "normal",
            "resources": resources,
        },
        "headroom": { "participants": 100_000, "stress_per_participant": 0.000_01, "measured": true },
        "router": {
            "version": "0.1.0", "epoch_ms": 1_799_990_000_000_u64, "backend": "uring", "door_backend": "uring",
            "addresses": { "udp": [address], "tcp": [address], "tls": [address] },
            "meetings": 40, "participants": 400,
            "kinds": { "audio": kind, "video": kind, "content": kind },
            "latency": { "count": 100_000, "p50_us": 12, "p99_us": 80 },
            "kernel_drops_per_s": 0, "workers": (0..7).map(worker).collect::<Vec<_>>(),
            "capacity": capacity,
        },
        "host": wire::load::HostLoad::default(),
    });
    body.to_string()
}

fn request(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {len}\r\n\r\n{body}"
    )
    .into_bytes()
}
