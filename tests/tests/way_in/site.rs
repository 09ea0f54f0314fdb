//! Web infrastructure, two zones, a tunnel and proxies, each on a host of its own, and hosts for participants.
//!
//! ```text
//!  0 web   1 near's controller   2, 3 near's MMRs   4 far's controller, behind a long and narrow way   5 far's MMR
//!  6 tunnel   7 proxies   8… one for each participant's network
//! ```

use crate::forwarder;
use crate::proxies::{Proxy, Rules, squid, tinyproxy};
use crate::{PATIENCE, seat::Seat};
use client::MeetingLink;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::authority::Authority;
use tests::service::Service;
use tests::{Lan, binary};
use wire::token::Signer;

pub const OPERATOR: &str = "operator-0123456789-0123456789-0123456789";
const WATCHDOG: Duration = Duration::from_secs(10);
/// The far zone's controller is this far away, each way, and has this much to send with.
const FAR: Duration = Duration::from_millis(40);
const NARROW: &str = "8mbit";
/// Where the long way to the far zone's controller begins.
const FAR_PORT: u16 = 8443;

pub const WEB: usize = 0;
const NEAR: Zone = Zone { name: "near", controller: 1, mmrs: &[2, 3] };
const FAR_AWAY: Zone = Zone { name: "far", controller: 4, mmrs: &[5] };
pub const TUNNEL: usize = 6;
pub const PROXIES: usize = 7;
const PEOPLE: usize = 8;

struct Zone {
    name: &'static str,
    controller: usize,
    mmrs: &'static [usize],
}

/// The proxies, each by its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    Squid = 3128,
    SquidWithPassword = 3129,
    /// Leads to the web infrastructure and the tunnel, to nothing else.
    SquidToTunnel = 3130,
    Tinyproxy = 8888,
    TinyproxyWithPassword = 8889,
}

/// All of it, until it is dropped.
pub struct Site {
    _services: Vec<Service>,
    _proxies: Vec<Proxy>,
    pub lan: Lan,
    pub authority: Authority,
    pub web: Signer,
    pub zone: Signer,
    folder: TempDir,
}

impl Site {
    /// With hosts for so many participants; ready when this returns.
    pub fn start(people: usize) -> Self {
        let lan = Lan::new(PEOPLE + people);
        for at in 0..PEOPLE + people {
            let line = format!("ip addr add {}/64 dev {} nodad", v6(at), Lan::INTERFACE);
            lan.host(at).command(&line);
        }
        let mut site = Self {
            _services: Vec::new(),
            _proxies: Vec::new(),
            lan,
            authority: Authority::new(),
            web: Signer::generate(),
            zone: Signer::generate(),
            folder: tempfile::tempdir().unwrap(),
        };
        site.write_keys();
        let mut services = Vec::new();
        for zone in [&NEAR, &FAR_AWAY] {
            services.push(site.start_controller(zone));
            services.extend(zone.mmrs.iter().flat_map(|host| site.start_mmr(zone, *host)));
        }
        let far = site.lan.host(FAR_AWAY.controller);
        far.command(&format!(
            "tc qdisc add dev {} root tbf rate {NARROW} burst 16kb latency 400ms",
            Lan::INTERFACE
        ));
        let address = Lan::address(FAR_AWAY.controller);
        forwarder::start(far, (address, FAR_PORT).into(), (address, 443).into(), FAR);
        services.push(site.start_tunnel());
        services.push(site.start_web());
        site._services = services;
        site._proxies = site.start_proxies();
        site.all_is_ready();
        site
    }

    fn write_keys(&self) {
        let both = both(&self.web.public_jwks(), &self.zone.public_jwks());
        for (name, text) in [
            ("authority.pem", self.authority.pem.as_str()),
            ("web-keys.json", &self.web.public_jwks()),
            ("web-key.pem", &self.web.private_pem()),
            ("zone-keys.json", &self.zone.public_jwks()),
            ("zone-key.pem", &self.zone.private_pem()),
            ("both-keys.json", &both),
            ("operators", OPERATOR),
        ] {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
    }

    fn start_controller(&self, zone: &Zone) -> Service {
        let host = zone.controller;
        let config = format!(
            "zone = \"{0}\"\nname = \"zc-{0}\"\n{1}\
             [tokens]\nkeys = \"../web-keys.json\"\nsigning_key = \"../zone-key.pem\"\n\
             [agents]\ntokens = \"../operators\"\n[operators]\ntokens = \"../operators\"\n\
             [store]\nfile = \"zone.redb\"\n",
            zone.name,
            listen(host),
        );
        self.run(host, "zone-controller", &config)
    }

    fn start_mmr(&self, zone: &Zone, host: usize) -> [Service; 2] {
        let name = zone.name;
        let socket = self.room(host).join("admin.sock").display().to_string();
        let config = format!(
            "zone = \"{name}\"\n{}[tokens]\nkeys = \"../zone-keys.json\"\n\
             [admin]\nsocket = \"{socket}\"\n[workers]\ncount = 1\nexpress = \"off\"\n",
            listen(host),
        );
        let mmr = self.run(host, "mmr", &config);
        let config = format!(
            "zone = \"{name}\"\n[mmr]\nid = \"mmr-{host}\"\nsocket = \"{socket}\"\n\
             [controllers]\nurls = [\"https://{}\"]\nca = \"../authority.pem\"\ntoken = \"../operators\"\n\
             [thresholds]\ncore = 0\nnetwork = 0\nmemory = 0\n",
            Lan::address(zone.controller),
        );
        [mmr, self.run(host, "zc-agent", &config)]
    }

    fn start_tunnel(&self) -> Service {
        let zones = [&NEAR, &FAR_AWAY].map(|zone| {
            let mmrs = zone.mmrs.iter().flat_map(|host| addresses(*host));
            let mmrs: Vec<_> = mmrs.map(|address| SocketAddr::new(address, 443)).collect();
            let mut controllers = vec![format!("{}:443", Lan::address(zone.controller))];
            controllers.push(format!("[{}]:443", v6(zone.controller)));
            controllers.push(format!("{}:{FAR_PORT}", Lan::address(zone.controller)));
            let mmrs: Vec<_> = mmrs.iter().map(ToString::to_string).collect();
            format!(
                "[[zones]]\nname = \"{}\"\nkeys = \"../both-keys.json\"\ncontrollers = {controllers:?}\nmmrs = {mmrs:?}\n",
                zone.name
            )
        });
        let config = format!("{}{}", listen(TUNNEL), zones.concat());
        self.run(TUNNEL, "http-tunnel", &config)
    }

    fn start_web(&self) -> Service {
        let near = format!(
            "[\"https://{}\", \"https://[{}]\"]",
            Lan::address(NEAR.controller),
            v6(NEAR.controller)
        );
        let config = format!(
            "url = \"https://{}\"\n{}[store]\nfile = \"web.db\"\n\
             [tokens]\nsigning_keys = [\"../web-key.pem\"]\n[operators]\ntokens = \"../operators\"\n\
             [health]\nauthority = \"../authority.pem\"\ninterval = \"1s\"\n\
             # The farther one stands first: who does not measure takes it.\n\
             [[zones]]\nname = \"far\"\ncontrollers = [\"https://{}:{FAR_PORT}\"]\n\
             [[zones]]\nname = \"near\"\ncontrollers = {near}\n\
             [tunnels]\nurls = [\"https://{}\", \"https://[{}]\"]\n",
            Lan::address(WEB),
            listen(WEB),
            Lan::address(FAR_AWAY.controller),
            Lan::address(TUNNEL),
            v6(TUNNEL),
        );
        self.run(WEB, "mmr-web", &config)
    }

    fn start_proxies(&self) -> Vec<Proxy> {
        let (host, folder) = (self.lan.host(PROXIES), self.folder.path());
        let open = Rules { asks_for_password: false, only_to: &[] };
        let to_tunnel = [Lan::address(WEB), Lan::address(TUNNEL)];
        vec![
            squid(host, Through::Squid as u16, open, folder),
            squid(
                host,
                Through::SquidWithPassword as u16,
                Rules { asks_for_password: true, ..open },
                folder,
            ),
            squid(
                host,
                Through::SquidToTunnel as u16,
                Rules { only_to: &to_tunnel, ..open },
                folder,
            ),
            tinyproxy(host, Through::Tinyproxy as u16, false, folder),
            tinyproxy(host, Through::TinyproxyWithPassword as u16, true, folder),
        ]
    }

    /// A folder for what runs on a host, with a certificate for its addresses.
    fn room(&self, host: usize) -> PathBuf {
        let room = self.folder.path().join(format!("host-{host}"));
        if std::fs::create_dir(&room).is_ok() {
            let names = addresses(host).map(|address| address.to_string());
            let issued = self.authority.issue_for(&[&names[0], &names[1]]);
            std::fs::write(room.join("certificate.pem"), issued.certificate).unwrap();
            std::fs::write(room.join("key.pem"), issued.key).unwrap();
        }
        room
    }

    fn run(&self, host: usize, name: &str, config: &str) -> Service {
        let room = self.room(host);
        let file = room.join(format!("{name}.toml"));
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(binary(name));
        command.args(["run", "--config"]).arg(&file);
        // An MMR and its agent share a room.
        let folder = room.join(format!("{name}-notify"));
        std::fs::create_dir(&folder).unwrap();
        let service = self.lan.host(host).run(|| Service::start(&mut command, &folder, WATCHDOG));
        assert!(
            service.is_told("READY=1", PATIENCE),
            "{name} on host {host} did not get ready:\n{config}"
        );
        service
    }

    /// Waits until all MMRs are fit, and the web infrastructure has heard of both zones.
    fn all_is_ready(&self) {
        let began = Instant::now();
        for zone in [&NEAR, &FAR_AWAY] {
            loop {
                let state = self.ask(zone.controller, "GET", "/v1/zone", None);
                let fit = |mmr: &Value| mmr["unfit"].is_null();
                let mmrs = state["mmrs"].as_array().cloned().unwrap_or_default();
                if mmrs.len() == zone.mmrs.len() && mmrs.iter().all(fit) {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "not all MMRs are fit: {state:#}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let answering = |metrics: &str| {
            let counts =
                metrics.lines().filter(|line| line.starts_with("web_controllers_answering{"));
            counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
        };
        while answering(&self.text(WEB, "/metrics")) < 3.0 {
            assert!(began.elapsed() < PATIENCE, "{}", self.text(WEB, "/metrics"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A new meeting's link.
    pub fn meeting(&self) -> String {
        let created = self.ask(WEB, "POST", "/v1/meetings", Some(json!({ "title": "Standup" })));
        created["link"].as_str().unwrap_or_else(|| panic!("no meeting: {created}")).to_owned()
    }

    /// Drains the MMR on which a meeting's participants are.
    pub fn drain(&self, mmr: &str) {
        let path = format!("/v1/mmrs/{mmr}/drain");
        self.ask(NEAR.controller, "POST", &path, Some(json!({ "deadline_s": 60 })));
    }

    /// A participant's host.
    pub fn seat(&self, at: usize) -> Seat<'_> {
        Seat::new(self, PEOPLE + at)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As an operator, from the host that is asked: JSON.
    fn ask(&self, host: usize, method: &str, path: &str, body: Option<Value>) -> Value {
        let text = self.request(host, method, path, body);
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    fn text(&self, host: usize, path: &str) -> String {
        self.request(host, "GET", path, None)
    }

    fn request(&self, host: usize, method: &str, path: &str, body: Option<Value>) -> String {
        let url = format!("https://{}{path}", Lan::address(host));
        let method = method.parse().unwrap();
        let tls = self.trusting();
        self.lan.host(host).block_on(async move {
            let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
            let mut request = http.build().unwrap().request(method, url).bearer_auth(OPERATOR);
            if let Some(body) = body {
                request = request.json(&body);
            }
            request.send().await.unwrap().text().await.unwrap()
        })
    }

    /// TLS of somebody who trusts everybody here.
    pub fn trusting(&self) -> rustls::ClientConfig {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.authority.roots())
            .with_no_client_auth()
    }

    /// The same meeting, by the web infrastructure's IPv6 address.
    pub fn over_v6(link: &str) -> MeetingLink {
        let old = Lan::address(WEB).to_string();
        link.replace(&old, &format!("[{}]", v6(WEB))).parse().unwrap()
    }
}

/// The near zone's controller.
pub fn near_controller() -> [IpAddr; 2] {
    addresses(NEAR.controller)
}

pub fn addresses(host: usize) -> [IpAddr; 2] {
    [Lan::address(host), v6(host).into()]
}

fn v6(host: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, u16::try_from(host + 1).unwrap())
}

fn listen(host: usize) -> String {
    format!(
        "[listen]\naddresses = [\"{}\", \"{}\"]\n\
         [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n",
        Lan::address(host),
        v6(host)
    )
}

fn both(first: &str, second: &str) -> String {
    let mut first: Value = serde_json::from_str(first).unwrap();
    let mut second: Value = serde_json::from_str(second).unwrap();
    let more = second["keys"].as_array_mut().unwrap();
    first["keys"].as_array_mut().unwrap().append(more);
    first.to_string()
}
