//! A join token's key is changed at the web infrastructure, and everybody else hears of it: routers, controllers and
//! tunnels as processes of their own, each with nothing but the URL of the keys.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tests::authority::Authority;
use tests::binary;
use tests::raw::{RawChannel, tls};
use tests::service::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::Kind;
use wire::control::Secret;
use wire::token::{Claims, Role, Signer};
use wire::zone::Assign;

const PATIENCE: Duration = Duration::from_secs(20);
const ZONE: &str = "test";
const PARTS: [&str; 3] = ["mmr", "zone-controller", "http-tunnel"];

/// Everybody's files, and the ports they are at.
struct Bed {
    folder: TempDir,
    ca_pem: String,
    /// Of the web infrastructure, and of the parts.
    web: u16,
    ports: [u16; 3],
}

impl Bed {
    fn new(signers: &[&Signer]) -> Self {
        let authority = Authority::new();
        let issued = authority.issue("localhost");
        let folder = tempfile::tempdir().unwrap();
        // All are held until all are known.
        let held = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [web, mmr, controller, tunnel] =
            held.each_ref().map(|held| held.local_addr().unwrap().port());
        let bed =
            Self { ca_pem: authority.pem.clone(), folder, web, ports: [mmr, controller, tunnel] };
        for (name, text) in [
            ("authority.pem", &*authority.pem),
            ("certificate.pem", &issued.certificate),
            ("key.pem", &issued.key),
            ("zone-key.pem", &Signer::generate().private_pem()),
            ("agents", "agent-0123456789-0123456789-0123456789"),
        ] {
            bed.write(name, text);
        }
        for (at, signer) in signers.iter().enumerate() {
            bed.write(&format!("signing-key-{at}.pem"), &signer.private_pem());
        }
        bed.sign_with("\"signing-key-0.pem\"");
        bed.write("mmr.toml", &bed.mmr());
        bed.write("zone-controller.toml", &bed.controller());
        bed.write("http-tunnel.toml", &bed.tunnel());
        bed
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The first of these keys signs, from the next start or SIGHUP on.
    fn sign_with(&self, keys: &str) {
        let text = format!(
            "url = \"https://meet.example.org\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nport = {}\n{TLS}\
             [store]\nfile = \"web.db\"\n\
             [tokens]\nsigning_keys = [{keys}]\n\
             [health]\nauthority = \"authority.pem\"\n\
             [[zones]]\nname = \"{ZONE}\"\ncontrollers = [\"https://localhost:{}\"]\n",
            self.web, self.ports[1]
        );
        self.write("mmr-web.toml", &text);
    }

    fn mmr(&self) -> String {
        format!(
            "zone = \"{ZONE}\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nmedia_port = 0\ntls_port = {}\n{TLS}\
             [workers]\ncount = 1\n[admin]\nsocket = \"admin.sock\"\n\
             [tokens]\nkeys = {}\n{}",
            self.ports[0],
            self.url(),
            fetching("mmr")
        )
    }

    fn controller(&self) -> String {
        format!(
            "zone = \"{ZONE}\"\nname = \"zc-1\"\n\
             [listen]\naddresses = [\"127.0.0.1\"]\nport = {}\n{TLS}\
             [tokens]\nkeys = {}\nsigning_key = \"zone-key.pem\"\n\
             [agents]\ntokens = \"agents\"\n[store]\nfile = \"zone.redb\"\n{}",
            self.ports[1],
            self.url(),
            fetching("zone-controller")
        )
    }

    fn tunnel(&self) -> String {
        format!(
            "[listen]\naddresses = [\"127.0.0.1\"]\nport = {}\n{TLS}\
             [[zones]]\nname = \"{ZONE}\"\nkeys = [{}]\ncontrollers = [\"127.0.0.1:1\"]\n{}",
            self.ports[2],
            self.url(),
            fetching("http-tunnel")
        )
    }

    fn url(&self) -> String {
        format!("\"https://localhost:{}/.well-known/jwks.json\"", self.web)
    }

    fn start(&self, name: &str) -> Service {
        let mut command = Command::new(binary(name));
        command.args(["run", "--config"]).arg(self.folder.path().join(format!("{name}.toml")));
        let folder = self.folder.path().join(format!("{name}.notify"));
        std::fs::create_dir_all(&folder).unwrap();
        let service = Service::start(&mut command, &folder, Duration::from_secs(5));
        assert!(service.is_told("READY=1", PATIENCE), "{name} does not get ready");
        service
    }

    /// Whether each part takes a token of this key.
    async fn take(&self, signer: &Signer) -> [bool; 3] {
        [
            self.mmr_takes(&token(signer)).await,
            self.controller_takes(&token(signer)).await,
            self.tunnel_takes(&token(signer)).await,
        ]
    }

    async fn mmr_takes(&self, token: &str) -> bool {
        let mut channel = RawChannel::open(at(self.ports[0]), &self.ca_pem).await;
        channel.say_join(token.to_owned()).await;
        let answer = serde_json::to_value(channel.next().await.unwrap()).unwrap();
        assert!(answer["type"] == "joined" || answer["code"] == "bad_token", "{answer}");
        answer["type"] == "joined"
    }

    async fn controller_takes(&self, token: &str) -> bool {
        let assign = Assign {
            meeting: "standup".to_owned(),
            kinds: vec![Kind::Audio],
            token: Secret(token.to_owned()),
            attempt: None,
            failed: None,
        };
        let body = serde_json::to_string(&assign).unwrap();
        let request = format!(
            "POST /v1/assign HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // There is no MMR to be sent to: that is said to who may know.
        self.answers(self.ports[1], &request, ["401", "503"]).await
    }

    async fn tunnel_takes(&self, token: &str) -> bool {
        let request = format!(
            "CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: 127.0.0.1:1\r\nconnection: close\r\n\
             proxy-authorization: Bearer {token}\r\n\r\n"
        );
        // Nobody is at the target.
        self.answers(self.ports[2], &request, ["407", "502"]).await
    }

    /// Whether the second of two statuses is answered, rather than the first.
    async fn answers(&self, port: u16, request: &str, statuses: [&str; 2]) -> bool {
        let mut stream = tls(at(port), &self.ca_pem, b"http/1.1").await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        let status = std::str::from_utf8(&head[9..]).unwrap();
        assert!(statuses.contains(&status), "{status}");
        status == statuses[1]
    }

    /// Waits until all parts, or none, take tokens of this key.
    async fn wait_until_taken(&self, signer: &Signer, taken: bool) {
        let since = Instant::now();
        loop {
            let takes = self.take(signer).await;
            if takes == [taken; 3] {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{PARTS:?} take it: {takes:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

const TLS: &str = "[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";

fn fetching(name: &str) -> String {
    format!(
        "[keys]\nauthority = \"authority.pem\"\ninterval = \"1s\"\ncache = \"{name}-cache\"\n\
         [log]\nfilter = \"error\"\n"
    )
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn token(signer: &Signer) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    signer.sign(&Claims {
        aud: ZONE.to_owned(),
        meeting: "standup".to_owned(),
        sub: format!("p-{:08x}", rand::random::<u32>()),
        role: Role::Attendee,
        kinds: Kind::ALL.to_vec(),
        iat: now_s,
        exp: now_s + 60,
        jti: format!("{:032x}", rand::random::<u128>()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_changed_at_the_web_infrastructure_is_taken_everywhere() {
    let (old, new) = (Signer::generate(), Signer::generate());
    let bed = Bed::new(&[&old, &new]);
    let web = bed.start("mmr-web");
    let parts = PARTS.map(|name| bed.start(name));
    assert_eq!(bed.take(&old).await, [true; 3], "they are ready when they have the keys");
    assert_eq!(bed.take(&new).await, [false; 3]);

    bed.sign_with("\"signing-key-0.pem\", \"signing-key-1.pem\"");
    web.signal(Signal::SIGHUP);
    bed.wait_until_taken(&new, true).await;
    assert_eq!(bed.take(&old).await, [true; 3], "both count while one follows the other");
    bed.sign_with("\"signing-key-1.pem\"");
    web.signal(Signal::SIGHUP);
    bed.wait_until_taken(&old, false).await;
    assert_eq!(bed.take(&new).await, [true; 3]);

    // Nobody publishes keys any more, and everybody starts anew.
    drop((web, parts));
    let _parts = PARTS.map(|name| bed.start(name));
    assert_eq!(bed.take(&new).await, [true; 3], "the cache has them");
    assert_eq!(bed.take(&old).await, [false; 3]);
}
