//! The binary as an operator meets it: exit codes, words, signals, systemd.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod support;

use expect_test::expect;
use mmr::dev::Dev;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use support::{Channel, join, tls};
use tokio::net::TcpStream;
use wire::control::ServerMessage;
use wire::token::{Role, Signer};

const BINARY: &str = env!("CARGO_BIN_EXE_mmr");

/// A folder with everything `mmr run` needs, and the daemon started on it.
struct Host {
    dev: Dev,
    config: PathBuf,
    /// What systemd would have been told, line by line.
    told: Receiver<String>,
}

impl Host {
    /// On free ports, with these keys more.
    fn new(more: &str) -> Self {
        let dev = Dev::temporary().unwrap();
        let config = dev.dir().join("mmr.toml");
        let notified = UnixDatagram::bind(dev.dir().join("notify.sock")).unwrap();
        let host = Self { dev, config, told: listen(notified) };
        host.configure(more);
        host
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "zone = \"dev\"\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
             [tokens]\nkeys = \"token-keys.json\"\n\
             [admin]\nsocket = \"{}\"\n\
             [limits]\nchannels = 64\nconnections = 64\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nmedia_port = 0\ntls_port = 0\n{more}",
            self.socket().display()
        );
        std::fs::write(&self.config, text).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.dev.dir().join("admin.sock")
    }

    /// Runs the daemon until it says that it is ready.
    fn run(&self) -> Running {
        let child = Command::new(BINARY)
            .args(["run", "--config"])
            .arg(&self.config)
            .env("NOTIFY_SOCKET", self.dev.dir().join("notify.sock"))
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running { child };
        self.notified("READY=1");
        running
    }

    /// Waits until systemd would have been told this.
    fn notified(&self, wanted: &str) {
        loop {
            let line = self.told.recv_timeout(Duration::from_secs(20));
            if line.expect("nothing was told in time").starts_with(wanted) {
                return;
            }
        }
    }

    fn stats(&self) -> Value {
        let output = mmr(&["stats", "--socket", self.socket().to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn tls(&self) -> SocketAddr {
        self.stats()["addresses"]["tls"][0].as_str().unwrap().parse().unwrap()
    }

    /// Somebody in a meeting.
    async fn participant(&self, name: &str) -> Channel {
        let mut channel = Channel::open(self.tls(), &self.dev).await;
        channel.say(&join(&self.dev.token("m", name, Role::Host))).await;
        channel.joined().await;
        channel
    }
}

/// Reads all the time, as systemd does: a full socket would hold the daemon up.
fn listen(socket: UnixDatagram) -> Receiver<String> {
    let (sender, told) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok(len) = socket.recv(&mut buffer) {
            for line in String::from_utf8_lossy(&buffer[..len]).lines() {
                if sender.send(line.to_owned()).is_err() {
                    return;
                }
            }
        }
    });
    told
}

/// A process that does not outlive its test.
struct Running {
    child: Child,
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mmr(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn help_teaches_with_examples_and_names_the_exit_codes() {
    let help = mmr(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    assert_eq!(help.status.code(), Some(0));
    for wanted in ["mmr dev", "mmr drain --deadline 10m", "78  the configuration can't be used"] {
        assert!(text.contains(wanted), "{text}");
    }
    for command in ["run", "dev", "token", "top", "drain"] {
        let help = mmr(&[command, "--help"]);
        assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"), "{command}");
    }
}

#[test]
fn wrong_usage_is_64() {
    for args in [
        &["fly"][..],
        &[],
        &["token", "--meeting", "m"],
        &["drain", "--deadline", "soon"],
        &["drain", "--deadline", "9223372036854775807s"],
        &["token", "--meeting", "m", "--participant", "p", "--key", "k"],
    ] {
        assert_eq!(mmr(args).status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn a_wrong_configuration_is_78_and_told_with_its_line() {
    let host = Host::new("media_prot = 1\n");
    let config = host.config.to_str().unwrap();
    let folder = host.dev.dir().to_str().unwrap();
    for command in ["check", "run"] {
        let (code, text) = said(&mmr(&[command, "--config", config]));
        assert_eq!(code, Some(78));
        let text = text.replace(folder, "DIR");
        expect![[r"
            mmr: DIR/mmr.toml:16: listen.media_prot: unknown field `media_prot`, expected one of `addresses`, `media_port`, `tls_port`, `advertise`. Mend the key's name or remove it; mmr.toml of the source tree lists every key.
        "]].assert_eq(&text);
    }
    let (code, text) = said(&mmr(&["check", "--config", "/nowhere/mmr.toml"]));
    assert_eq!(code, Some(78));
    assert!(text.contains("/nowhere/mmr.toml: the file can't be read"), "{text}");
}

#[test]
fn a_wrong_file_is_78_and_told_at_the_key_that_names_it() {
    let host = Host::new("");
    let config = host.config.to_str().unwrap();
    assert_eq!(mmr(&["check", "--config", config]).status.code(), Some(0));
    let cases = [
        ("certificate.pem", "3: tls.certificate: "),
        ("certificate-key.pem", "4: tls.key: "),
        ("token-keys.json", "6: tokens.keys: "),
    ];
    for (file, wanted) in cases {
        let path = host.dev.dir().join(file);
        let good = std::fs::read(&path).unwrap();
        for bad in [None, Some("rubbish")] {
            match bad {
                None => std::fs::remove_file(&path).unwrap(),
                Some(text) => std::fs::write(&path, text).unwrap(),
            }
            for command in ["check", "run"] {
                let (code, text) = said(&mmr(&[command, "--config", config]));
                assert_eq!(code, Some(78), "{file}: {text}");
                assert!(text.contains(&format!("mmr.toml:{wanted}")), "{file}: {text}");
                assert!(text.contains(file), "{file}: {text}");
            }
        }
        std::fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_busy_port_is_told_with_a_way_to_find_its_holder() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let host = Host::new("");
    let text = std::fs::read_to_string(&host.config).unwrap();
    let text = text.replace("media_port = 0", &format!("media_port = {port}"));
    std::fs::write(&host.config, text).unwrap();
    let (code, text) = said(&mmr(&["run", "--config", host.config.to_str().unwrap()]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("UDP 127.0.0.1:{port} can't be listened on")), "{text}");
    assert!(text.contains(&format!("ss -lunp 'sport = :{port}'")), "{text}");
    assert!(!host.socket().exists(), "nothing is left");
}

#[test]
fn every_transports_busy_port_is_told_in_whole_sentences() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let host = Host::new("");
    let text = std::fs::read_to_string(&host.config).unwrap();
    let text = text.replace("tls_port = 0", &format!("tls_port = {port}"));
    std::fs::write(&host.config, text).unwrap();
    let (code, text) = said(&mmr(&["run", "--config", host.config.to_str().unwrap()]));
    assert_eq!(code, Some(1), "{text}");
    let text = text.lines().last().unwrap().replace(&port.to_string(), "PORT");
    expect!["mmr: TCP 127.0.0.1:PORT can't be listened on: Address already in use (os error 98). Another process holds the port, perhaps another mmr or a web server: find it with `ss -ltnp 'sport = :PORT'`, then stop it or choose another port."].assert_eq(&text);
}

#[test]
fn a_file_where_the_admin_socket_should_be_is_left_alone() {
    let host = Host::new("");
    std::fs::write(host.socket(), "precious").unwrap();
    let (code, text) = said(&mmr(&["run", "--config", host.config.to_str().unwrap()]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another file is in its place"), "{text}");
    assert!(text.contains("set admin.socket to another path"), "{text}");
    assert_eq!(std::fs::read_to_string(host.socket()).unwrap(), "precious");
}

#[test]
fn who_reads_no_further_is_no_failure() {
    let host = Host::new("");
    let _running = host.run();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = Command::new(BINARY)
        .args(["stats", "--socket", host.socket().to_str().unwrap()])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{:?}", child.wait_with_output());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = Command::new(BINARY);
    child.args(["stats", "--socket", host.socket().to_str().unwrap()]).stdout(full);
    let (code, text) = said(&child.output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("standard output can't be written"), "{text}");
}

#[tokio::test]
async fn systemd_is_asked_for_time_again_as_long_as_a_drain_takes() {
    let host = Host::new("[drain]\ndeadline = \"2h\"\n");
    let running = host.run();
    let _ada = host.participant("ada").await;
    running.signal(Signal::SIGTERM);
    host.notified("STOPPING=1");
    for _ in 0..3 {
        host.notified("EXTEND_TIMEOUT_USEC=");
    }
}

#[test]
fn without_participants_it_ends_at_once_and_systemd_is_told() {
    let host = Host::new("");
    let mut running = host.run();
    host.notified("WATCHDOG=1");
    running.signal(Signal::SIGTERM);
    host.notified("STOPPING=1");
    let status = running.ended_within(Duration::from_secs(10)).expect("it did not end");
    assert_eq!(status.code(), Some(0));
    assert!(!host.socket().exists());
}

#[tokio::test]
async fn sigterm_drains_and_ends_when_the_last_one_left() {
    let host = Host::new("[drain]\ndeadline = \"60s\"\n");
    let mut running = host.run();
    let mut ada = host.participant("ada").await;
    running.signal(Signal::SIGTERM);
    assert_eq!(ada.hear().await, ServerMessage::Draining { deadline_s: 60 });
    assert!(running.ended_within(Duration::from_millis(600)).is_none(), "ada is still there");
    ada.say(r#"{"type":"leave"}"#).await;
    let status = running.ended_within(Duration::from_secs(10)).expect("it did not end");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_deadline_or_a_second_signal_ends_it_all_the_same() {
    let host = Host::new("[drain]\ndeadline = \"1s\"\n");
    let mut running = host.run();
    let mut ada = host.participant("ada").await;
    running.signal(Signal::SIGINT);
    assert_eq!(running.ended_within(Duration::from_secs(10)).unwrap().code(), Some(0));
    ada.closed().await;

    let host = Host::new("[drain]\ndeadline = \"60s\"\n");
    let mut running = host.run();
    let _ada = host.participant("ada").await;
    running.signal(Signal::SIGTERM);
    host.notified("STOPPING=1");
    assert!(running.ended_within(Duration::from_millis(600)).is_none());
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended_within(Duration::from_secs(10)).unwrap().code(), Some(0));
}

#[tokio::test]
async fn drain_and_undrain_work_from_the_command_line() {
    let host = Host::new("");
    let _running = host.run();
    let socket = host.socket();
    let socket = socket.to_str().unwrap();
    let mut ada = host.participant("ada").await;
    assert!(mmr(&["drain", "--socket", socket, "--deadline", "10m"]).status.success());
    assert_eq!(ada.hear().await, ServerMessage::Draining { deadline_s: 600 });
    let waited = mmr(&["drain", "--socket", socket, "--deadline", "100ms", "--wait"]);
    let (code, text) = said(&waited);
    assert_eq!(code, Some(1));
    assert!(text.contains("1 participants are still here"), "{text}");
    assert!(mmr(&["undrain", "--socket", socket]).status.success());
    assert_eq!(host.stats()["draining_s"], Value::Null);
    let top = mmr(&["top", "--socket", socket, "--interval", "200ms"]);
    let text = String::from_utf8_lossy(&top.stdout);
    assert!(text.contains("1 meetings  1 participants"), "{text}");
    let (code, text) = said(&mmr(&["stats", "--socket", "/nowhere.sock"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("no daemon answers at /nowhere.sock"), "{text}");
}

#[tokio::test]
async fn sighup_takes_new_certificates_keys_and_marks_and_keeps_channels() {
    let host = Host::new("");
    let running = host.run();
    let address = host.tls();
    let mut ada = host.participant("ada").await;

    // Another certificate authority, another signing key, other marks.
    let next = Dev::temporary().unwrap();
    for file in ["certificate.pem", "certificate-key.pem", "token-keys.json"] {
        std::fs::copy(next.dir().join(file), host.dev.dir().join(file)).unwrap();
    }
    host.configure("[dscp]\npreset = \"off\"\n");
    running.signal(Signal::SIGHUP);
    host.notified("RELOADING=1");
    host.notified("READY=1");

    let old = tls(TcpStream::connect(address).await.unwrap(), &host.dev).await;
    assert!(old.is_err(), "the old certificate is gone");
    let mut bob = Channel::open(address, &next).await;
    bob.say(&join(&host.dev.token("m", "bob", Role::Host))).await;
    assert_eq!(bob.refusal().await, "bad_token", "the old key is retired");
    let mut bob = Channel::open(address, &next).await;
    bob.say(&join(&next.token("m", "bob", Role::Host))).await;
    assert_eq!(bob.joined().await.roster, ["ada"]);
    let came = ServerMessage::ParticipantJoined { participant: "bob".to_owned() };
    assert_eq!(ada.hear().await, came, "ada's channel went on");

    // A wrong file changes nothing.
    std::fs::write(host.dev.dir().join("certificate.pem"), "rubbish").unwrap();
    running.signal(Signal::SIGHUP);
    host.notified("READY=1");
    Channel::open(address, &next).await;
}

#[test]
fn dev_prints_commands_whose_tokens_work_and_token_makes_more() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut child = Command::new(BINARY)
        .args(["dev", "--media-port", "0", "--tls-port", "0", "--state-dir"])
        .arg(&state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut running = Running { child };
    let printed: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let publish = printed.iter().position(|line| line.contains("mmr-client publish --mmr"));
    let publish = publish.expect("a command to publish");
    assert!(printed[publish].contains("ca.pem"));
    let token = printed[publish + 1].split_whitespace().nth(1).unwrap();
    let jwks = std::fs::read_to_string(state.join("token-keys.json")).unwrap();
    let claims = verify(&jwks, "dev", token);
    assert_eq!((claims.meeting.as_str(), claims.sub.as_str()), ("demo", "publisher"));

    let state_dir = state.to_str().unwrap();
    let more = ["token", "--meeting", "m", "--participant", "p", "--role", "viewer"];
    let more = mmr(&[&more[..], &["--kind", "audio", "--state-dir", state_dir]].concat());
    let claims = verify(&jwks, "dev", String::from_utf8_lossy(&more.stdout).trim());
    assert_eq!((claims.role, claims.kinds.as_slice()), (Role::Viewer, &[wire::Kind::Audio][..]));

    let (code, text) = said(&mmr(&["dev", "--state-dir", state_dir]));
    assert_eq!(code, Some(1));
    assert!(text.contains("another mmr dev runs in"), "{text}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.ended_within(Duration::from_secs(10)).unwrap().code(), Some(0));
}

#[test]
fn dev_ends_with_its_terminal_unless_it_was_asked_not_to() {
    for (under_nohup, ends) in [(false, true), (true, false)] {
        let dir = tempfile::tempdir().unwrap();
        // These tests may themselves run under nohup, and what is ignored is inherited.
        let (runner, option) =
            if under_nohup { ("nohup", None) } else { ("env", Some("--default-signal=HUP")) };
        let mut child = Command::new(runner)
            .args(option)
            .arg(BINARY)
            .args(["dev", "--media-port", "0", "--tls-port", "0", "--state-dir"])
            .arg(dir.path().join("state"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut running = Running { child };
        lines.find(|line| line.starts_with("Ctrl-C")).unwrap();
        running.signal(Signal::SIGHUP);
        assert_eq!(running.ended_within(Duration::from_secs(2)).is_some(), ends, "{under_nohup}");
    }
}

#[test]
fn token_signs_with_a_key_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    std::fs::write(&key, Signer::generate().private_pem()).unwrap();
    let key = key.to_str().unwrap();
    let jwks = mmr(&["token", "--key", key, "--public-jwks"]);
    let jwks = String::from_utf8_lossy(&jwks.stdout).into_owned();
    let names = ["--zone", "z", "--meeting", "m", "--participant", "p"];
    let signed = mmr(&[&["token", "--key", key][..], &names].concat());
    let token = String::from_utf8_lossy(&signed.stdout).trim().to_owned();
    assert_eq!(verify(&jwks, "z", &token).role, Role::Attendee);

    let (code, text) = said(&mmr(&[&["token", "--key", "/nowhere.pem"][..], &names].concat()));
    assert_eq!(code, Some(1));
    assert!(text.contains("there is no signing key at /nowhere.pem"), "{text}");
    let long = [&["token", "--key", key, "--lifetime", "11m"][..], &names].concat();
    assert_eq!(mmr(&long).status.code(), Some(64));
}

#[test]
fn dev_takes_a_free_port_when_the_usual_one_is_taken_and_says_so() {
    // Whoever holds 8801 already serves the test as well as we would.
    let _holder = UdpSocket::bind("127.0.0.1:8801");
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(BINARY)
        .args(["dev", "--state-dir"])
        .arg(dir.path().join("state"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut running = Running { child };
    let note = lines.find(|line| line.starts_with("Note: port 8801")).unwrap();
    assert!(note.contains("a free one was taken"), "{note}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.ended_within(Duration::from_secs(10)).unwrap().code(), Some(0));
}

fn verify(jwks: &str, zone: &str, token: &str) -> wire::token::Claims {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let verifier = wire::token::Verifier::from_jwks(zone, jwks).unwrap();
    verifier.verify(token, now.as_secs()).unwrap_or_else(|error| panic!("{error}: {token}"))
}

#[test]
fn the_folder_of_dev_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o755)).unwrap();
    let (code, text) = said(&mmr(&["dev", "--state-dir", open.to_str().unwrap()]));
    assert_eq!(code, Some(1));
    assert!(text.contains("others may enter it"), "{text}");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(Path::new("/tmp"), &link).unwrap();
    let (code, text) = said(&mmr(&["dev", "--state-dir", link.to_str().unwrap()]));
    assert_eq!(code, Some(1));
    assert!(text.contains("not a folder of this user"), "{text}");
}
