//! The parts of a zone, and the keys and tokens that join them.

use crate::plan::{BEARER_FILE, Plan, TokenKeys};
use client::{ControllerUrl, Destination, Token};
use mmr::Config as MmrConfig;
use mmr::config::KeySource;
use mmr::dev::{ADMIN_SOCKET, Dev};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use wire::MmrId;
use wire::token::Role;
use wire::zone::ZoneState;
use zc_agent::core::Thresholds;

/// How long everything may take to be there: agents report once a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running zone. All of it ends when it is dropped.
pub struct Zone {
    // Those who report end before those they report to.
    members: Vec<Member>,
    controller: zone_controller::Daemon,
    name: String,
    /// Makes the participants' tokens, where no web infrastructure does.
    tokens: Option<Dev>,
    /// The controller's keys, and its store.
    keys: Dev,
}

/// An MMR and its agent.
pub struct Member {
    /// Its name in the zone.
    pub id: MmrId,
    /// The daemon; `None` once it was killed.
    pub daemon: Option<mmr::Daemon>,
    dev: Dev,
    _agent: zc_agent::Agent,
}

/// Which ports an MMR takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// UDP and TCP; 0: a free one.
    pub media: u16,
    /// TLS; 0: a free one.
    pub tls: u16,
}

impl Zone {
    /// Starts a controller and an MMR for each pair of ports, on loopback, and waits until the controller has heard
    /// of all. `change` has a last word on each MMR's configuration.
    ///
    /// # Errors
    /// Anything that can't be had.
    pub async fn start(
        ports: &[Ports],
        change: impl Fn(&mut MmrConfig),
    ) -> Result<Self, Box<dyn Error>> {
        let tokens = Dev::temporary()?;
        let keys = TokenKeys::file(&tokens.dir().join("token-keys.json"));
        let plan = Plan::at_any_port(mmr::dev::ZONE)?;
        let mut zone = Self::start_planned(plan, &keys, ports, change).await?;
        zone.tokens = Some(tokens);
        Ok(zone)
    }

    /// The same as planned, for participants whose tokens have these keys. Its MMRs take free ports where 0 stands.
    ///
    /// # Errors
    /// Anything that can't be had.
    pub async fn start_planned(
        plan: Plan,
        keys: &TokenKeys,
        ports: &[Ports],
        change: impl Fn(&mut MmrConfig),
    ) -> Result<Self, Box<dyn Error>> {
        let controller = zone_controller::Daemon::start(&plan.controller(keys)?)?;
        controller.ready().await;
        let Plan { name, keys, .. } = plan;
        let mut zone = Self { members: Vec::new(), controller, name, tokens: None, keys };
        for (number, ports) in (1..).zip(ports) {
            let member = zone.start_member(number, *ports, &change)?;
            zone.members.push(member);
        }
        zone.wait_for_all().await?;
        Ok(zone)
    }

    fn start_member(
        &self,
        number: usize,
        ports: Ports,
        change: impl Fn(&mut MmrConfig),
    ) -> Result<Member, Box<dyn Error>> {
        let id = MmrId::try_from(format!("mmr-{number}"))?;
        let dev = Dev::temporary()?;
        let mut config = dev.config();
        config.zone.clone_from(&self.name);
        config.listen.media_port = ports.media;
        config.listen.tls_port = ports.tls;
        // Nobody comes in but by the controller.
        config.token_keys = vec![KeySource::File(self.keys.dir().join("token-keys.json"))];
        change(&mut config);
        let daemon = mmr::Daemon::start(config)?;
        let agent = zc_agent::Agent::start(&self.agent_config(id.clone(), &dev))?;
        Ok(Member { id, daemon: Some(daemon), dev, _agent: agent })
    }

    fn agent_config(&self, id: MmrId, dev: &Dev) -> zc_agent::Config {
        let controllers = zc_agent::config::Controllers {
            urls: vec![self.url().parse().expect("an origin")],
            ca: self.keys.ca_file(),
            identity: None,
            token: Some(self.keys.dir().join(BEARER_FILE)),
        };
        let mut config = zc_agent::Config::with_defaults(&self.name, id, controllers);
        config.mmr.socket = dev.dir().join(ADMIN_SOCKET);
        // All MMRs share one host with whatever else runs there: only what is their own counts.
        config.thresholds =
            Thresholds { core: None, network: None, memory: None, ..config.thresholds };
        config
    }

    async fn wait_for_all(&self) -> Result<(), Box<dyn Error>> {
        let all = async {
            loop {
                let state = self.state();
                let fit = state.mmrs.iter().filter(|mmr| mmr.unfit.is_none()).count();
                if state.store_reachable && fit == self.members.len() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = |_| "the agents did not report in time: see the log (RUST_LOG=info)";
        Ok(tokio::time::timeout(PATIENCE, all).await.map_err(late)?)
    }

    /// Ends an MMR without a drain; its agent goes on.
    pub async fn kill(&mut self, id: &str) {
        let member = self.members.iter_mut().find(|member| member.id.as_str() == id);
        if let Some(daemon) = member.and_then(|member| member.daemon.take()) {
            daemon.stop().await;
        }
    }

    /// Ends everything, MMRs first.
    pub async fn stop(mut self) {
        for member in &mut self.members {
            if let Some(daemon) = member.daemon.take() {
                daemon.stop().await;
            }
        }
        self.controller.stop().await;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its controller and the control channels of its MMRs are.
    pub fn targets(&self) -> Vec<SocketAddr> {
        let daemons = self.members.iter().filter_map(|member| member.daemon.as_ref());
        let mmrs = daemons.flat_map(|daemon| daemon.addresses().tls.iter());
        self.controller.addresses().iter().chain(mmrs).copied().collect()
    }

    /// JWKS with the key of its tickets, and of the tokens its controller gives.
    pub fn ticket_keys(&self) -> std::path::PathBuf {
        self.keys.dir().join("token-keys.json")
    }

    /// The MMRs.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The zone as its controller sees it.
    pub fn state(&self) -> ZoneState {
        self.controller.controller().zone_state()
    }

    /// The controller itself.
    pub fn controller(&self) -> &zone_controller::controller::Controller {
        self.controller.controller()
    }

    /// Where participants ask, with a token of theirs.
    pub fn destination(&self, token: Token) -> Destination {
        let urls = self.controller.addresses().iter().map(|at| {
            let url: ControllerUrl = format!("https://{at}").parse().expect("an origin");
            url
        });
        Destination::Zone { controllers: urls.collect(), token }
    }

    /// The controller's `https://IP:PORT`, over IPv4.
    pub fn url(&self) -> String {
        format!("https://{}", self.controller.addresses()[0])
    }

    /// What a participant shows the controller.
    ///
    /// # Panics
    /// When a web infrastructure makes the zone's tokens.
    pub fn token(&self, meeting: &str, participant: &str, role: Role) -> Token {
        let tokens = self.tokens.as_ref().expect("the zone makes its own tokens");
        Token::new(tokens.token(meeting, participant, role))
    }

    /// The certificates of the controller and of all MMRs, PEM.
    pub fn ca_pem(&self) -> String {
        let mut pem = self.keys.ca_pem().to_owned();
        self.members.iter().for_each(|member| pem += member.dev.ca_pem());
        pem
    }
}
