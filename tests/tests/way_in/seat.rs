//! A participant's host, with a network that lets some things out: one who publishes from there, and one who records.

use crate::PATIENCE;
use crate::proxies::USER;
use crate::site::{PROXIES, Site, Through};
use client::{
    Destination, Exceptions, JoinOptions, MeetingLink, ProxyChoice, PublishOptions, PublishReport,
    Publisher, RecordOptions, RecordReport, Recorder, Trust, no_progress,
};
use std::future::{pending, ready};
use std::net::IpAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tests::meeting::{assert_complete, sources};
use tests::{Host, Lan, binary};
use wire::Kind;

/// How long is published: all of it is compared.
const MEDIA: Duration = Duration::from_secs(2);

pub struct Seat<'a> {
    pub site: &'a Site,
    host: &'a Host,
    proxy: ProxyChoice,
}

/// What came of a meeting at one host.
pub struct Played {
    pub sent: PublishReport,
    pub recorded: RecordReport,
}

impl<'a> Seat<'a> {
    pub fn new(site: &'a Site, at: usize) -> Self {
        Self { site, host: site.lan.host(at), proxy: ProxyChoice::None }
    }

    /// Only what fits one of these (nftables) may leave; all else is dropped, or refused.
    pub fn only(self, allowed: &[String], otherwise: Otherwise) -> Self {
        let allowed: Vec<_> = allowed.iter().map(|one| format!("{one} accept\n")).collect();
        let always = "oif lo accept\nmeta l4proto ipv6-icmp accept\n";
        self.rules(&format!("{always}{}{}", allowed.concat(), otherwise.rules("")))
    }

    /// What fits one of these may not leave.
    pub fn without(self, blocked: &[String], otherwise: Otherwise) -> Self {
        let rules: Vec<_> = blocked.iter().map(|one| otherwise.rules(one)).collect();
        self.rules(&rules.concat())
    }

    fn rules(self, rules: &str) -> Self {
        self.host.nft(&format!(
            "table inet out {{\nchain output {{\ntype filter hook output priority 0;\n{rules}}}\n}}\n"
        ));
        self
    }

    /// IPv6 is all there is.
    pub fn without_v4(self) -> Self {
        self.host.command(&format!("ip -4 addr flush dev {}", Lan::INTERFACE));
        self
    }

    /// The environment names a proxy.
    pub fn with_proxy(mut self, through: Through) -> Self {
        use Through::{SquidWithPassword, TinyproxyWithPassword};
        let user = match through {
            SquidWithPassword | TinyproxyWithPassword => format!("{USER}@"),
            _ => String::new(),
        };
        let url = format!("http://{user}{}:{}", Lan::address(PROXIES), through as u16);
        self.proxy = ProxyChoice::Fallback(url.parse().unwrap(), Exceptions::default());
        self
    }

    fn join(&self, link: &MeetingLink, name: &str) -> JoinOptions {
        let at = Destination::Meeting { link: link.clone(), name: Some(name.to_owned()) };
        let trust = Trust::from_pem(self.site.authority.pem.as_bytes()).unwrap();
        JoinOptions { proxy: self.proxy.clone(), ..JoinOptions::new(at, trust) }
    }

    pub async fn publisher(&self, link: &MeetingLink, duration: Duration) -> Publisher {
        let (join, duration) = (self.join(link, "publisher"), Some(duration));
        let options = PublishOptions { join, sources: sources(), repeat: false, duration };
        Publisher::join(options).await.unwrap_or_else(|error| panic!("publisher: {error}"))
    }

    pub async fn recorder(&self, link: &MeetingLink) -> Recorder {
        let recorder = Recorder::join(self.recording(link)).await;
        recorder.unwrap_or_else(|error| panic!("recorder: {error}"))
    }

    fn recording(&self, link: &MeetingLink) -> RecordOptions {
        let (join, kinds) = (self.join(link, "recorder"), Kind::ALL.to_vec());
        RecordOptions { join, kinds, max_layer: u8::MAX, folder: None }
    }

    /// A whole meeting on this host: everything is published, and recorded to the last byte.
    pub fn meet(&self, link: &MeetingLink) -> Played {
        let played = self.block_on(async || {
            // Both at once: they meet in the same zone all the same.
            let (recorder, publisher) =
                tokio::join!(self.recorder(link), self.publisher(link, MEDIA));
            let streams = sources().len();
            assert!(recorder.wait_for_streams(streams, PATIENCE).await, "not all streams came");
            let ends = recorder.ends();
            let recording = tokio::spawn(async move {
                let ended = async {
                    // Streams that do not end show in what was recorded.
                    let _ = tokio::time::timeout(PATIENCE, ends.wait(streams)).await;
                };
                recorder.run(ended, None, &no_progress()).await
            });
            let sent = publisher.run(pending(), &no_progress()).await.unwrap();
            Played { sent, recorded: recording.await.unwrap().unwrap() }
        });
        assert_complete(&played.sent, &sources(), &played.recorded);
        played
    }

    /// What joining failed with; nothing is published.
    pub fn refused(&self, link: &MeetingLink) -> client::ClientError {
        self.block_on(async || match Recorder::join(self.recording(link)).await {
            Err(error) => error,
            Ok(recorder) => {
                let _ = recorder.run(ready(()), None, &no_progress()).await;
                panic!("there was a way")
            }
        })
    }

    /// `mmr-client` on this host, with the link in its environment.
    pub fn command(&self, link: &str, arguments: &[&str]) -> Output {
        let authority = self.site.folder().join("authority.pem");
        self.host.run(|| {
            Command::new(binary("mmr-client"))
                .args(arguments)
                .arg("--ca")
                .arg(authority)
                .env("MMR_MEETING", link)
                .env("NO_PROXY", "*")
                .stdin(Stdio::null())
                .output()
                .unwrap()
        })
    }

    pub fn block_on<T: Send>(&self, body: impl AsyncFnOnce() -> T + Send) -> T {
        self.host.run(|| {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(1).enable_all();
            runtime.build().unwrap().block_on(body())
        })
    }
}

/// What becomes of what may not leave.
#[derive(Clone, Copy, Debug)]
pub enum Otherwise {
    /// Nothing: whoever sent it waits.
    Drop,
    /// It is told so at once.
    Refuse,
}

impl Otherwise {
    fn rules(self, blocked: &str) -> String {
        match self {
            Self::Drop => format!("{blocked} drop\n"),
            Self::Refuse => format!(
                "{blocked} meta l4proto tcp reject with tcp reset\n{blocked} reject with icmpx admin-prohibited\n"
            ),
        }
    }
}

/// To these addresses.
pub fn to(addresses: &[IpAddr]) -> Vec<String> {
    let family = |address: &IpAddr| if address.is_ipv4() { "ip" } else { "ip6" };
    addresses.iter().map(|address| format!("{} daddr {address}", family(address))).collect()
}
