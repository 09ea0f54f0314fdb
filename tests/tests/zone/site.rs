//! A whole zone on hosts of its own: etcd, controllers, MMRs with their agents, each a process.

use crate::{PATIENCE, etcd};
use client::{ControllerUrl, Destination, JoinOptions, Token, TransportChoice, Trust};
use mmr::dev::claims;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::authority::Authority;
use tests::service::Service;
use tests::{Lan, binary};
use tokio::runtime::Runtime;
use wire::token::{Role, Signer};
use wire::zone::{Assign, Assignment, MmrState, Refusal, ZoneState};
use wire::{Kind, Transport};

const ZONE: &str = "example";
const OPERATOR: &str = "operator-0123456789-0123456789-0123456789";
/// Two controllers, with a member of etcd on each one's host and on a third.
pub const CONTROLLERS: usize = 2;
const ETCD_MEMBERS: usize = 3;
/// How soon the systemd of a test wants to hear of a daemon.
const WATCHDOG: Duration = Duration::from_secs(10);

/// A running zone. All of it ends when it is dropped.
pub struct Site {
    // Participants end first; processes end before their networks and files go.
    /// Its threads are on the host of participants and operators.
    runtime: Runtime,
    pub mmrs: Vec<Member>,
    pub controllers: Vec<Service>,
    _etcd: Vec<etcd::Member>,
    lan: Lan,
    /// The host of participants and operators.
    people: usize,
    /// Of controllers and MMRs, whom clients trust.
    authority: Authority,
    web: Signer,
    http: reqwest::Client,
    folder: TempDir,
}

/// An MMR and its agent.
pub struct Member {
    pub id: String,
    pub mmr: Service,
    pub agent: Service,
}

impl Site {
    /// Two controllers on etcd, so many MMRs, and a host for everybody else; ready when this returns.
    pub fn start(mmrs: usize) -> Self {
        Self::start_with(mmrs, "")
    }

    /// The same, with these sections more in the configuration of each MMR.
    pub fn start_with(mmrs: usize, sections: &str) -> Self {
        let lan = Lan::new(ETCD_MEMBERS + mmrs + 1);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (web, own) = (Signer::generate(), Signer::generate());
        let agents = Authority::new();
        for (name, text) in [
            ("authority.pem", authority.pem.as_str()),
            ("agents-authority.pem", &agents.pem),
            ("web-keys.json", &web.public_jwks()),
            ("zone-keys.json", &own.public_jwks()),
            ("signing-key.pem", &own.private_pem()),
            ("operators", OPERATOR),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let etcd = etcd::start(&lan, ETCD_MEMBERS, folder.path());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trusting(&authority))
            .timeout(Duration::from_secs(3))
            // A controller ends connections after a minute: none is kept that may just be ending.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .unwrap();
        let people = ETCD_MEMBERS + mmrs;
        let runtime = lan
            .host(people)
            .run(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());
        let mut site = Self {
            runtime,
            mmrs: Vec::new(),
            controllers: Vec::new(),
            _etcd: etcd,
            lan,
            people,
            authority,
            web,
            http,
            folder,
        };
        for at in 0..CONTROLLERS {
            site.equip_controller(at);
            let controller = site.run_controller(at);
            site.controllers.push(controller);
        }
        for at in 0..mmrs {
            let member = site.start_member(at, &agents, sections);
            site.mmrs.push(member);
        }
        site
    }

    /// A folder below the zone's, with a certificate of the zone for a host.
    fn room(&self, name: &str, host: usize) -> std::path::PathBuf {
        let room = self.folder.path().join(name);
        std::fs::create_dir(&room).unwrap();
        let issued = self.authority.issue(&Lan::address(host).to_string());
        std::fs::write(room.join("certificate.pem"), issued.certificate).unwrap();
        std::fs::write(room.join("key.pem"), issued.key).unwrap();
        room
    }

    fn equip_controller(&self, at: usize) {
        let room = self.room(&format!("zc-{at}"), at);
        let config = format!(
            "zone = \"{ZONE}\"\nname = \"zc-{at}\"\n\
             [listen]\naddresses = [\"{}\"]\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [tokens]\nkeys = \"../web-keys.json\"\nsigning_key = \"../signing-key.pem\"\n\
             [agents]\nauthority = \"../agents-authority.pem\"\n\
             [operators]\ntokens = \"../operators\"\n\
             [store]\nkind = \"etcd\"\nendpoints = {:?}\n",
            Lan::address(at),
            (0..ETCD_MEMBERS).map(etcd::endpoint).collect::<Vec<_>>(),
        );
        std::fs::write(room.join("zone-controller.toml"), config).unwrap();
    }

    fn run_controller(&self, at: usize) -> Service {
        let room = self.folder.path().join(format!("zc-{at}"));
        self.run(at, "zone-controller", &room)
    }

    /// Starts a controller that was killed.
    pub fn revive_controller(&mut self, at: usize) {
        self.controllers[at] = self.run_controller(at);
    }

    fn start_member(&self, at: usize, agents: &Authority, sections: &str) -> Member {
        let (host, id) = (ETCD_MEMBERS + at, format!("mmr-{}", at + 1));
        let room = self.room(&id, host);
        let socket = room.join("admin.sock");
        let config = format!(
            "zone = \"{ZONE}\"\n\
             [listen]\naddresses = [\"{}\"]\n\
             [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
             [tokens]\nkeys = \"../zone-keys.json\"\n\
             [admin]\nsocket = \"{}\"\n\
             [workers]\ncount = 1\n{sections}",
            Lan::address(host),
            socket.display(),
        );
        std::fs::write(room.join("mmr.toml"), config).unwrap();
        let urls: Vec<_> = (0..CONTROLLERS).map(origin).collect();
        let config = format!(
            "zone = \"{ZONE}\"\n\
             [mmr]\nid = \"{id}\"\nsocket = \"{}\"\n\
             [controllers]\nurls = {urls:?}\nca = \"../authority.pem\"\n\
             certificate = \"agent.pem\"\nkey = \"agent-key.pem\"\n\
             # All of them share one machine.\n\
             [thresholds]\ncore = 0\nnetwork = 0\nmemory = 0\n",
            socket.display(),
        );
        std::fs::write(room.join("zc-agent.toml"), config).unwrap();
        let issued = agents.issue(&id);
        std::fs::write(room.join("agent.pem"), issued.certificate).unwrap();
        std::fs::write(room.join("agent-key.pem"), issued.key).unwrap();
        let mmr = self.run(host, "mmr", &room);
        let agent = self.run(host, "zc-agent", &room);
        Member { id, mmr, agent }
    }

    /// One of our daemons, once it is ready.
    fn run(&self, host: usize, name: &str, room: &Path) -> Service {
        let mut command = Command::new(binary(name));
        command.args(["run", "--config"]).arg(room.join(format!("{name}.toml")));
        // An MMR and its agent share a room.
        let folder = room.join(format!("{name}-notify"));
        std::fs::create_dir_all(&folder).unwrap();
        let service = self.lan.host(host).run(|| Service::start(&mut command, &folder, WATCHDOG));
        assert!(service.is_told("READY=1", PATIENCE), "{name} on host {host} did not get ready");
        service
    }

    /// Runs `body` where participants and operators are.
    pub fn block_on<T: Send>(&self, body: impl AsyncFnOnce() -> T + Send) -> T {
        self.lan.host(self.people).run(|| self.runtime.block_on(body()))
    }

    /// The MMR of this id.
    pub fn mmr(&mut self, id: &str) -> &mut Member {
        self.mmrs.iter_mut().find(|member| member.id == id).unwrap()
    }

    /// Stops an agent from saying anything, or lets it go on.
    pub fn silence_agent(&mut self, id: &str, silent: bool) {
        let signal = if silent { Signal::SIGSTOP } else { Signal::SIGCONT };
        self.mmr(id).agent.signal(signal);
    }

    /// Takes an MMR's host off the network.
    pub fn unplug(&self, id: &str) {
        let at = self.mmrs.iter().position(|member| member.id == id).unwrap();
        self.lan.unplug(ETCD_MEMBERS + at);
    }

    /// What a participant joins with.
    pub fn join(&self, meeting: &str, name: &str, transport: Transport) -> JoinOptions {
        let urls = (0..CONTROLLERS).map(|at| {
            let url: ControllerUrl = origin(at).parse().unwrap();
            url
        });
        let token = Token::new(self.token(meeting, name));
        let at = Destination::Zone { controllers: urls.collect(), token };
        let trust = Trust::from_pem(self.authority.pem.as_bytes()).unwrap();
        JoinOptions { transport: TransportChoice::Only(transport), ..JoinOptions::new(at, trust) }
    }

    fn token(&self, meeting: &str, name: &str) -> String {
        let lifetime = Duration::from_secs(wire::limits::TOKEN_LIFETIME_S_MAX);
        self.web.sign(&claims(ZONE, meeting, name, Role::Attendee, &Kind::ALL, lifetime))
    }

    /// Asks one controller where a newcomer goes.
    pub async fn assign(&self, controller: usize, meeting: &str) -> Result<Assignment, Refusal> {
        let assign = Assign {
            meeting: meeting.into(),
            kinds: vec![Kind::Audio],
            token: wire::control::Secret(self.token(meeting, "newcomer")),
            attempt: None,
            failed: None,
        };
        let url = format!("{}{}", origin(controller), wire::zone::ASSIGN_PATH);
        let answer = self.http.post(url).json(&assign).send().await.unwrap();
        match answer.status() {
            StatusCode::OK => Ok(answer.json().await.unwrap()),
            _ => Err(answer.json().await.unwrap()),
        }
    }

    /// The zone as one controller sees it.
    pub async fn state(&self, controller: usize) -> ZoneState {
        let url = format!("{}{}", origin(controller), wire::zone::ZONE_PATH);
        let answer = self.http.get(url).bearer_auth(OPERATOR).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// One MMR as one controller sees it.
    pub async fn sees(&self, controller: usize, id: &str) -> MmrState {
        let mmrs = self.state(controller).await.mmrs;
        mmrs.into_iter().find(|mmr| mmr.id.as_str() == id).unwrap()
    }

    /// As an operator: `drain` or `undrain`.
    pub async fn order(&self, controller: usize, id: &str, order: &str) {
        let url = format!("{}/v1/mmrs/{id}/{order}", origin(controller));
        let mut request = self.http.post(url).bearer_auth(OPERATOR);
        if order == "drain" {
            request = request.json(&serde_json::json!({ "deadline_s": DRAIN_DEADLINE.as_secs() }));
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", answer.text().await.unwrap());
    }

    /// Waits until every MMR is fit at this controller.
    pub async fn all_fit(&self, controller: usize) -> Duration {
        let started = Instant::now();
        loop {
            let state = self.state(controller).await;
            let fit = state.mmrs.iter().filter(|mmr| mmr.unfit.is_none()).count();
            if state.store_reachable && fit == self.mmrs.len() {
                return started.elapsed();
            }
            assert!(started.elapsed() < PATIENCE, "not all are fit: {state:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// By when everybody should have left an MMR that is drained.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(60);

fn origin(controller: usize) -> String {
    format!("https://{}", Lan::address(controller))
}

fn trusting(authority: &Authority) -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth()
}
