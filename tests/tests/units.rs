//! The systemd units of tuning/: valid, as closed as docs/tuning.md says, and no more closed than the router can bear.
//!
//! systemd itself rarely runs where tests do. So the sandbox is built again from the unit's own lines: its user's rights, its
//! capabilities, its file system, and its list of system calls, of which any other kills the router.
#![allow(clippy::unwrap_used, missing_docs)]

use client::{
    Destination, IpChoice, JoinOptions, MmrAddress, PublishOptions, Publisher, RecordOptions,
    Recorder, Token, TransportChoice, Trust, no_progress,
};
use mmr::dev::Dev;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seccompiler::{BpfProgram, compile_from_json};
use std::collections::BTreeSet;
use std::future::{pending, ready};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use tests::meeting::sources;
use tests::{Host, Wire, binary, is_root};
use wire::load::{Report, State};
use wire::stats::Stats;
use wire::{Kind, Transport};

use wire::token::Role;

/// Exposure as `systemd-analyze security` of systemd 252 counts it: 0 is closed, 10 is open. docs/tuning.md says the same.
const EXPOSURE: [(&str, &str); 6] = [
    ("mmr", "1.7"),
    ("zc-agent", "1.5"),
    ("zone-controller", "1.6"),
    ("http-tunnel", "1.6"),
    ("mmr-web", "1.6"),
    ("mmr-tuning", "2.9"),
];

/// What the express plane needs of the router's unit.
const EXPRESS: &str = "mmr-express.conf";

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    for (unit, _) in EXPOSURE {
        let (folder, file) = with_a_binary(unit);
        let output = run("systemd-analyze", &["verify", "--man=no", file.to_str().unwrap()]);
        assert!(output.status.success() && output.stderr.is_empty(), "{unit}: {}", words(&output));
        drop(folder);
    }
}

#[test]
fn no_unit_is_more_exposed_than_the_documentation_says() {
    let documented = fs::read_to_string(root().join("docs/tuning.md")).unwrap();
    for (unit, exposure) in EXPOSURE {
        let (_folder, file) = with_a_binary(unit);
        let arguments = ["security", "--offline=true", "--no-pager", file.to_str().unwrap()];
        let said = words(&run("systemd-analyze", &arguments));
        let (_, score) = said.split_once(&format!("level for {unit}.service: ")).expect(&said);
        let score: f32 = score.split(' ').next().unwrap().parse().unwrap();
        assert!(score <= exposure.parse().unwrap(), "{unit} is exposed by {score}:\n{said}");
        let line = format!("| `{unit}.service` | {exposure} |");
        assert!(documented.contains(&line), "docs/tuning.md does not say {line}");
    }
}

#[test]
fn the_router_gets_the_time_it_drains_and_no_restart_where_that_does_not_help() {
    let settings = settings("mmr");
    let setting = |key: &str| settings.iter().find(|(name, _)| name == key).unwrap().1.clone();
    let minutes: u64 = setting("TimeoutStopSec").trim_end_matches("min").parse().unwrap();
    let drain = Dev::temporary().unwrap().config().drain_deadline;
    assert!(Duration::from_secs(minutes * 60) > drain.max(Duration::from_secs(600)));
    assert_eq!(setting("Restart"), "on-failure");
    assert_eq!(setting("RestartPreventExitStatus"), "64 78");
    assert_eq!(setting("CapabilityBoundingSet"), "CAP_NET_BIND_SERVICE");
}

#[test]
fn the_router_carries_a_meeting_in_its_sandbox() {
    if !is_root() {
        return;
    }
    for backend in ["uring", "poll"] {
        let host = Host::new();
        let mut router = host.run(|| Sandboxed::start(backend));
        host.block_on(router.carry_a_meeting());
        router.signal(Signal::SIGHUP);
        router.ask(&host, "stats");
        router.ask(&host, "drain");
        router.signal(Signal::SIGTERM);
        let ended = router.child.wait().unwrap();
        assert!(ended.success(), "{backend}: {ended}");
    }
}

/// With its drop-in it has what the express plane needs, for its start.
#[test]
fn the_router_serves_a_meeting_from_the_kernel_in_its_sandbox() {
    if !is_root() {
        return;
    }
    let wire = Wire::new();
    let router = wire.left.run(|| Sandboxed::start_express(Wire::LEFT[0]));
    wire.right.block_on(router.carry_a_meeting());
    let said = router.ask(&wire.left, "stats");
    let stats: Stats = serde_json::from_str(&said).unwrap();
    let sent: u64 = stats.express.sent.values().map(|sent| sent.packets).sum();
    assert!(stats.express.on && sent > 100, "{:?}", stats.express);
    let status = format!("/proc/{}/status", router.child.id());
    let status = fs::read_to_string(status).unwrap();
    let held = status.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap();
    // CAP_NET_BIND_SERVICE alone.
    assert_eq!(u64::from_str_radix(held, 16).unwrap(), 1 << 10, "{status}");
}

#[test]
fn the_express_planes_drop_in_says_nothing_else() {
    let keys: Vec<String> = settings(EXPRESS).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["AmbientCapabilities", "CapabilityBoundingSet", "SystemCallFilter"]);
}

/// Not a test: what the sandbox's processes become before they are the router.
#[test]
#[ignore = "started by the_router_carries_a_meeting_in_its_sandbox"]
fn become_the_router() {
    let Ok(folder) = env::var("SANDBOX") else { return };
    let mut router = Command::new(Path::new(&folder).join("mmr"));
    router.arg("run").arg("--config").arg(Path::new(&folder).join("mmr.toml"));
    become_filtered(&mut router, &folder);
}

#[test]
fn the_agent_samples_and_reports_in_its_sandbox() {
    if !is_root() {
        return;
    }
    let (_folder, once) = Host::new().run(|| agent_in_its_sandbox("once"));
    let once = once.wait_with_output().unwrap();
    assert!(once.status.success(), "{}", words(&once));
    let said = words(&once);
    // Before its first line the test's own stands.
    let report =
        Report::parse(&said.as_bytes()[said.find('{').unwrap()..said.rfind('}').unwrap() + 1]);
    let Report { state, host, .. } = report.unwrap();
    assert_eq!(state, State::Starting, "there is no router");
    assert!(host.cores > 0 && host.memory.total_bytes > 0, "{host:?}");

    // Long enough to be refused by a controller, and to try again.
    let (_folder, mut running) = Host::new().run(|| agent_in_its_sandbox("run"));
    for signal in [Signal::SIGHUP, Signal::SIGTERM] {
        std::thread::sleep(Duration::from_secs(3));
        kill(Pid::from_raw(running.id().cast_signed()), signal).unwrap();
    }
    let ended = running.wait().unwrap();
    assert!(ended.success(), "{ended}");
}

/// Not a test: what the sandbox's processes become before they are the agent.
#[test]
#[ignore = "started by the_agent_samples_and_reports_in_its_sandbox"]
fn become_the_agent() {
    let Ok(folder) = env::var("SANDBOX") else { return };
    let mut agent = Command::new(Path::new(&folder).join("zc-agent"));
    agent.arg(env::var("COMMAND").unwrap());
    become_filtered(agent.arg("--config").arg(Path::new(&folder).join("zc-agent.toml")), &folder);
}

/// The agent as its unit would start it, with this command and its folder; nobody answers it.
fn agent_in_its_sandbox(command: &str) -> (Dev, Child) {
    let dev = Dev::temporary().unwrap();
    let folder = dev.dir();
    fs::write(folder.join("zone-ca.pem"), dev.ca_pem()).unwrap();
    fs::write(folder.join("token"), "token").unwrap();
    let config = "zone = \"dev\"\n[mmr]\nid = \"mmr-1\"\nsocket = \"admin.sock\"\n[controllers]\n\
                  urls = [\"https://127.0.0.1:1\", \"https://localhost:1\"]\nca = \"zone-ca.pem\"\n\
                  token = \"token\"\n[log]\nfilter = \"error\"\n";
    fs::write(folder.join("zc-agent.toml"), config).unwrap();
    let child = sandbox(folder, "zc-agent", "become_the_agent", &[])
        .env("PROC", "hidepid=2")
        .env("CAPABILITIES", "-all")
        .env("COMMAND", command)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    (dev, child)
}

/// What starts a copy of this test in a unit's sandbox, which then becomes the unit's program.
fn sandbox(folder: &Path, unit: &str, test: &str, drop_ins: &[&str]) -> Command {
    fs::write(folder.join("filter.json"), filter(unit, drop_ins)).unwrap();
    fs::copy(binary(unit), folder.join(unit)).unwrap();
    fs::copy(env::current_exe().unwrap(), folder.join("test")).unwrap();
    let find = run("sh", &["-c", "command -v setpriv"]);
    fs::copy(words(&find).trim(), folder.join("setpriv")).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--ipc", "sh", "-c", SANDBOX, "sandbox"])
        .envs([("UNIT", unit), ("TEST", test)])
        .env("SANDBOX", folder);
    command
}

/// Never returns: what is not on the list of calls kills from here on.
fn become_filtered(program: &mut Command, folder: &str) {
    let filter = fs::read(Path::new(folder).join("filter.json")).unwrap();
    let programs = compile_from_json(filter.as_slice(), env::consts::ARCH.try_into().unwrap());
    let filter: &BpfProgram = &programs.unwrap()["unit"];
    seccompiler::apply_filter(filter).unwrap();
    panic!("{}", program.exec());
}

/// A router as its unit would start it.
struct Sandboxed {
    child: Child,
    dev: Dev,
    address: &'static str,
}

impl Sandboxed {
    /// On 127.0.0.1:443 and 8801, once it listens.
    fn start(backend: &str) -> Self {
        let workers = format!("backend = \"{backend}\"");
        Self::start_at("127.0.0.1", &workers, "-all,+net_bind_service", &[])
    }

    /// With what the express plane's drop-in adds.
    fn start_express(address: &'static str) -> Self {
        let capabilities = "-all,+net_bind_service,+net_admin,+bpf,+perfmon";
        Self::start_at(address, "express = \"on\"", capabilities, &[EXPRESS])
    }

    fn start_at(
        address: &'static str,
        workers: &str,
        capabilities: &str,
        drop_ins: &[&str],
    ) -> Self {
        let dev = Dev::temporary().unwrap();
        let folder = dev.dir().to_owned();
        fs::write(folder.join("mmr.toml"), configuration(address, workers)).unwrap();
        let child = sandbox(&folder, "mmr", "become_the_router", drop_ins)
            .env("PROC", "hidepid=2,subset=pid")
            .env("CAPABILITIES", capabilities)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let sandboxed = Self { child, dev, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !folder.join("admin.sock").exists() {
            assert!(Instant::now() < deadline, "the router does not start in its sandbox");
            std::thread::sleep(Duration::from_millis(50));
        }
        sandboxed
    }

    /// Everybody hears everything, over UDP, TCP and TLS.
    async fn carry_a_meeting(&self) {
        let join = |name: &str, transport| {
            let at = MmrAddress { host: self.address.to_owned(), port: 443 };
            let token = Token::new(self.dev.token("meeting", name, Role::Attendee));
            let trust = Trust::from_pem(self.dev.ca_pem().as_bytes()).unwrap();
            let join = JoinOptions::new(Destination::Mmr { at, token }, trust);
            JoinOptions { transport, ip: IpChoice::V4, ..join }
        };
        let duration = Some(Duration::from_secs(3));
        let options = PublishOptions {
            join: join("publisher", TransportChoice::Auto),
            sources: sources(),
            repeat: false,
            duration,
        };
        let publisher = Publisher::join(options).await.unwrap();
        let mut recorders = Vec::new();
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            let join = join(&format!("{transport:?}"), TransportChoice::Only(transport));
            let kinds = Kind::ALL.to_vec();
            let options = RecordOptions { join, kinds, max_layer: 0, folder: None };
            recorders.push(Recorder::join(options).await.unwrap());
        }
        for recorder in &recorders {
            assert!(recorder.wait_for_streams(3, Duration::from_secs(20)).await);
        }
        publisher.run(pending(), &no_progress()).await.unwrap();
        for recorder in recorders {
            let report = recorder.run(ready(()), None, &no_progress()).await.unwrap();
            assert_eq!(report.streams.len(), 3);
            for stream in &report.streams {
                assert!(stream.frames > 0, "{stream:?}");
            }
        }
    }

    /// The router answers on its admin socket; its answer.
    fn ask(&self, host: &Host, what: &str) -> String {
        let mut command = Command::new(binary("mmr"));
        command.arg(what).arg("--socket").arg(self.dev.dir().join("admin.sock"));
        let output = host.run(|| command.output().unwrap());
        assert!(output.status.success(), "{}", words(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn signal(&mut self, signal: Signal) {
        // unshare, sh, setpriv and the test all became the router: one process.
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        if signal == Signal::SIGHUP {
            // A router that was killed by what a reload asks of the kernel would not answer next.
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Sandboxed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The unit's user, capabilities and file system, with what systemd would do for them.
const SANDBOX: &str = r#"
    set -e
    chown -R 65534:65534 "$SANDBOX"
    chmod 755 "$SANDBOX/setpriv" "$SANDBOX/$UNIT" "$SANDBOX/test"
    mount --bind "$SANDBOX" "$SANDBOX"                       # RuntimeDirectory
    mount --bind /usr/lib /usr/lib                           # ExecPaths
    mount -o remount,bind,ro /usr/lib
    mount -t proc -o "$PROC" proc /proc         # ProtectProc, ProcSubset
    mount -o remount,bind,ro,noexec / || { mount --bind / /; mount -o remount,bind,ro,noexec /; }
    cd "$SANDBOX"
    exec "$SANDBOX/setpriv" --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
        --bounding-set="$CAPABILITIES" --inh-caps="$CAPABILITIES" --ambient-caps="$CAPABILITIES" \
        "$SANDBOX/test" --exact "$TEST" --ignored --nocapture
"#;

fn configuration(address: &str, workers: &str) -> String {
    format!(
        "zone = \"dev\"\n\
         [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
         [tokens]\nkeys = [\"token-keys.json\", \"https://localhost:1/keys\"]\n\
         [keys]\nauthority = \"ca.pem\"\ncache = \"cache\"\ninterval = \"1s\"\n\
         [admin]\nsocket = \"admin.sock\"\n\
         [listen]\naddresses = [\"{address}\", \"::1\"]\n\
         [workers]\n{workers}\ncount = 2\n\
         [log]\nfilter = \"error\"\n"
    )
}

/// The unit's list of system calls for seccompiler: what is not on it kills, where the unit would only refuse.
fn filter(unit: &str, drop_ins: &[&str]) -> String {
    let mut allowed = BTreeSet::new();
    let drop_ins = drop_ins.iter().flat_map(|it| settings(it));
    for (key, value) in settings(unit).into_iter().chain(drop_ins) {
        if key == "SystemCallFilter" {
            let (removes, names) = match value.strip_prefix('~') {
                Some(names) => (true, names.to_owned()),
                None => (false, value),
            };
            for call in names.split(' ').flat_map(calls) {
                if removes {
                    allowed.remove(&call)
                } else {
                    allowed.insert(call)
                };
            }
        }
    }
    assert_eq!(allowed.contains("io_uring_enter"), unit == "mmr");
    assert!(!allowed.contains("mount"));
    let filters: Vec<_> =
        allowed.iter().map(|call| format!("{{\"syscall\": \"{call}\"}}")).collect();
    let json = |calls: &str| {
        format!(
            "{{\"unit\": {{\"mismatch_action\": \"kill_process\", \"match_action\": \"allow\", \"filter\": [{calls}]}}}}"
        )
    };
    // systemd names calls of all machines and ages; only those of this one can be compiled.
    let here = |call: &&String| {
        compile_from_json(json(call).as_bytes(), env::consts::ARCH.try_into().unwrap()).is_ok()
    };
    let known: Vec<_> = filters.iter().filter(here).cloned().collect();
    json(&known.join(","))
}

/// A call, or those of a @group.
fn calls(name: &str) -> Vec<String> {
    if !name.starts_with('@') {
        return vec![name.to_owned()];
    }
    let listed = words(&run("systemd-analyze", &["syscall-filter", name]));
    let members = listed.lines().skip(1).map(str::trim);
    members.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(calls).collect()
}

/// What a unit sets, in its order.
fn settings(unit: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(unit_file(unit)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
}

/// A copy of a unit that starts something which exists here.
fn with_a_binary(unit: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{unit}.service"));
    let text = fs::read_to_string(unit_file(unit)).unwrap();
    let scripts = format!("{}/", root().join("tuning").display());
    let text = text
        .replace("/usr/local/bin/mmr-web", "/bin/true")
        .replace("/usr/local/bin/mmr", "/bin/true")
        .replace("/usr/local/bin/zc-agent", "/bin/true")
        .replace("/usr/local/bin/zone-controller", "/bin/true")
        .replace("/usr/local/bin/http-tunnel", "/bin/true")
        .replace("/usr/local/lib/mmr-tuning/", &scripts);
    fs::write(&file, text).unwrap();
    (folder, file)
}

fn unit_file(unit: &str) -> PathBuf {
    let file = if unit == EXPRESS { unit.to_owned() } else { format!("{unit}.service") };
    root().join("tuning/systemd").join(file)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).env("SYSTEMD_COLORS", "0").output().unwrap()
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
