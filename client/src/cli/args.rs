//! What can be said on the command line.

use clap::{Parser, Subcommand};
use client::{
    ClientError, ControllerUrl, Destination, IpChoice, JoinOptions, MeetingLink, MmrAddress,
    ProxyChoice, RtpInput, Token, TransportChoice, Trust,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wire::Kind;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed for a reason of this host: a file or a port
  2  the arguments or an input file cannot be used
  3  no way to the web infrastructure, a controller, the MMR, or to its media: `mmr-client trace` shows where it ends
  4  refused: passcode, token, role, or a limit
  5  the session or a link ended before it was done

Tokens are taken from --token, from a file (--token @FILE) or from MMR_TOKEN; the latter two keep them out of the
process list. RUST_LOG=debug tells more.";

const JOIN_HELP: &str = "\
What happens, each step with its time:
  lookup  the web infrastructure tells zones, controllers, tokens and HTTP tunnels; whether an HTTP proxy stands in the
          way is found out here, and everything that follows goes the same way
  zone    all controllers of all zones are measured at once, the best zone is taken; when none answers within 5.5 s, the
          first HTTP tunnel that does; then the meeting settles in the zone, or says in which it is already
  mmr     a controller names a router, its control channel is opened
  media   for each kind UDP (2 s), then TCP (2 s), then TLS (5 s); behind a proxy or in a tunnel TLS alone

Examples:
  mmr-client join 'https://meet.example.org/j/01234567890#PASSCODE' --audio voice.ogg --video camera.ivf
  MMR_MEETING='https://…' mmr-client join --record recordings --duration 10m
  mmr-client join @link.txt --record recordings --proxy @proxy.txt

Who publishes and records at once is two participants of the meeting, NAME and NAME-recorder.";

/// The native client of the multimedia router: publishes and records media files, bridges RTP tools, traces networks.
#[derive(Parser)]
#[command(name = "mmr-client", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Join a meeting by its link: from the lookup to media, through whatever the network lets out. Publishes, records,
    /// or both.
    #[command(after_help = JOIN_HELP)]
    Join(JoinArgs),
    /// Publish media files in real time.
    #[command(after_help = EXIT_CODES)]
    Publish(PublishArgs),
    /// Record what a meeting publishes, one file per stream, and a summary.
    #[command(after_help = EXIT_CODES)]
    Record(RecordArgs),
    /// Join plain-RTP tools (ffmpeg, GStreamer, VLC) to a meeting, in both directions.
    #[command(after_help = EXIT_CODES)]
    Bridge(BridgeArgs),
    /// Show every step of the connection with its time and what failed, over every transport. Uses up the token.
    #[command(after_help = EXIT_CODES)]
    Trace(TraceArgs),
}

/// How this host's network is used.
#[derive(clap::Args)]
pub(super) struct Network {
    /// Trust only the certificates in this PEM file, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How media travels: auto tries UDP (2 s), then TCP (2 s), then TLS (5 s), for each kind on its own.
    #[arg(long, default_value = "auto", value_name = "auto|udp|tcp|tls")]
    transport: TransportChoice,
    /// An HTTP proxy for everything, with USER:PASSWORD@ if it asks for them, or @FILE that holds its URL; none; or
    /// auto: for who has a meeting's link and can't reach its host directly, the one of HTTPS_PROXY or ALL_PROXY, but for
    /// the hosts of NO_PROXY.
    #[arg(
        long,
        default_value = "auto",
        value_name = "auto|none|URL|@FILE",
        hide_default_value = true
    )]
    proxy: String,
    /// Use IPv4 alone.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 alone.
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Network {
    /// Reads the certificates, and the proxy's URL.
    fn join(&self, at: Destination) -> Result<JoinOptions, ClientError> {
        let trust = match &self.ca {
            Some(file) => Trust::from_file(file)?,
            None => Trust::system()?,
        };
        let ip = match (self.ipv4, self.ipv6) {
            (true, _) => IpChoice::V4,
            (_, true) => IpChoice::V6,
            _ => IpChoice::Any,
        };
        let proxy = ProxyChoice::from_argument(&self.proxy)?;
        Ok(JoinOptions { transport: self.transport, ip, proxy, ..JoinOptions::new(at, trust) })
    }
}

#[derive(clap::Args)]
#[group(id = "where", required = true, multiple = false, args = ["mmr", "controllers", "meeting"])]
pub(super) struct Where {
    /// The MMR's TLS port; 443 if none is named.
    #[arg(long, value_name = "HOST[:PORT]")]
    mmr: Option<MmrAddress>,
    /// A controller of the zone, which names the MMR to join; repeat it for each there is. publish and record move to
    /// another MMR by themselves when theirs drains or dies.
    #[arg(long = "controller", value_name = "https://HOST[:PORT]")]
    controllers: Vec<ControllerUrl>,
    /// The meeting's link, in quotes, or @FILE that holds it: zone and MMR are found, as `mmr-client join --help` says.
    #[arg(long, value_name = "LINK|@FILE")]
    meeting: Option<String>,
    /// What to be called, with --meeting.
    #[arg(long, requires = "meeting")]
    name: Option<String>,
    /// The join token, or @FILE that holds it; with --mmr and --controller.
    #[arg(
        long,
        env = "MMR_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN|@FILE",
        required_unless_present = "meeting"
    )]
    token: Option<String>,
    #[command(flatten)]
    pub(super) network: Network,
}

impl Where {
    /// Reads the token or the link, and the certificates.
    pub(super) fn join(&self) -> Result<JoinOptions, ClientError> {
        self.network.join(self.at()?)
    }

    fn at(&self) -> Result<Destination, ClientError> {
        if let Some(link) = &self.meeting {
            let (link, name) = (MeetingLink::from_argument(link)?, self.name.clone());
            return Ok(Destination::Meeting { link, name });
        }
        let token = Token::from_argument(self.token.as_deref().unwrap_or_default())?;
        Ok(match &self.mmr {
            Some(at) => Destination::Mmr { at: at.clone(), token },
            None => Destination::Zone { controllers: self.controllers.clone(), token },
        })
    }
}

#[derive(clap::Args)]
#[group(id = "what", required = true, multiple = true, args = ["audio", "video", "content", "record"])]
pub(super) struct JoinArgs {
    /// The meeting's link, https://HOST/j/NUMBER#PASSCODE, in quotes; or @FILE that holds it. The latter, and
    /// MMR_MEETING, keep the passcode out of the process list.
    #[arg(env = "MMR_MEETING", hide_env_values = true, value_name = "LINK|@FILE")]
    link: String,
    /// What to be called: letters, digits, ".", "_" and "-".
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    pub(super) media: Media,
    /// Record what the meeting publishes: PARTICIPANT-KIND.ogg or .ivf and summary.json in this folder; made if it is
    /// not there.
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// End after this time: 500ms, 10s, 5m; Ctrl-C ends as cleanly. Who publishes ends with the longest file.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,
    #[command(flatten)]
    pub(super) network: Network,
}

impl JoinArgs {
    /// What the one who publishes, or who records, joins with.
    pub(super) fn join(&self, suffix: &str) -> Result<JoinOptions, ClientError> {
        let link = MeetingLink::from_argument(&self.link)?;
        let name = self.name.as_ref().map(|name| format!("{name}{suffix}"));
        self.network.join(Destination::Meeting { link, name })
    }
}

/// What is published.
#[derive(clap::Args)]
pub(super) struct Media {
    /// Ogg Opus for the voice.
    #[arg(long, value_name = "FILE.ogg")]
    pub(super) audio: Option<PathBuf>,
    /// IVF with VP8 or AV1 for the camera; repeat it for further layers, the lowest first.
    #[arg(long, value_name = "FILE.ivf")]
    pub(super) video: Vec<PathBuf>,
    /// IVF with VP8 or AV1 for the shared screen; repeat it for further layers, the lowest first.
    #[arg(long, value_name = "FILE.ivf")]
    pub(super) content: Vec<PathBuf>,
    /// Start each file again when it ends. Files cannot make keyframes when asked: others see the next one.
    #[arg(long = "loop")]
    pub(super) repeat: bool,
}

#[derive(clap::Args)]
#[group(id = "media", required = true, multiple = true, args = ["audio", "video", "content"])]
pub(super) struct PublishArgs {
    #[command(flatten)]
    pub(super) at: Where,
    #[command(flatten)]
    pub(super) media: Media,
    /// End after this time: 500ms, 10s, 5m.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,
}

#[derive(clap::Args)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub(super) at: Where,
    /// Where PARTICIPANT-KIND.ogg or .ivf and summary.json go; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Only this kind; repeat it for more.
    #[arg(long = "kind", value_parser = kind, value_name = "audio|video|content")]
    pub(super) kinds: Vec<Kind>,
    /// The highest layer wanted of each stream, from 0; the highest there is if not told.
    #[arg(long, default_value_t = u8::MAX, hide_default_value = true, value_name = "LAYER")]
    pub(super) max_layer: u8,
    /// End after this time: 500ms, 10s, 5m; Ctrl-C ends as cleanly.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,
}

#[derive(clap::Args)]
#[group(id = "rtp", required = true, multiple = true, args = ["inputs", "output"])]
pub(super) struct BridgeArgs {
    #[command(flatten)]
    pub(super) at: Where,
    /// Publish RTP that a tool sends to this address. Codecs: opus for audio, vp8 (default) or av1 for the others.
    #[arg(long = "rtp-in", value_name = "KIND[/CODEC]=IP:PORT")]
    pub(super) inputs: Vec<RtpInput>,
    /// Send the meeting's streams here as RTP: the first to this port, each further one two ports higher.
    #[arg(long = "rtp-out", requires = "sdp", value_name = "IP:PORT")]
    pub(super) output: Option<SocketAddr>,
    /// Describe what --rtp-out sends in this file, for players.
    #[arg(long, requires = "output", value_name = "FILE")]
    pub(super) sdp: Option<PathBuf>,
    /// End after this time: 500ms, 10s, 5m; Ctrl-C ends as cleanly.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,
}

#[derive(clap::Args)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    pub(super) at: Where,
    /// Only links of this kind; repeat it for more. Audio alone if none is named: the others take the same ways.
    #[arg(long = "kind", value_parser = kind, value_name = "audio|video|content")]
    pub(super) kinds: Vec<Kind>,
}

fn kind(text: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    found.ok_or_else(|| "one of audio, video, content".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    parsed.ok_or_else(|| "a number and a unit: 500ms, 10s, 5m, 1h".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn one_mmr_or_any_number_of_controllers_or_a_meeting() {
        let parsed = |at: &[&str]| {
            let line = ["mmr-client", "trace"].iter().chain(at);
            Args::try_parse_from(line).is_ok()
        };
        assert!(parsed(&["--token", "x", "--mmr", "192.0.2.1"]));
        assert!(parsed(&[
            "--token",
            "x",
            "--controller",
            "https://a",
            "--controller",
            "https://b"
        ]));
        assert!(parsed(&["--meeting", "@link", "--name", "ada"]));
        assert!(!parsed(&["--token", "x"]));
        assert!(!parsed(&["--mmr", "192.0.2.1"]) || std::env::var_os("MMR_TOKEN").is_some());
        assert!(!parsed(&["--token", "x", "--mmr", "192.0.2.1", "--controller", "https://a"]));
        assert!(!parsed(&["--token", "x", "--mmr", "192.0.2.1", "--meeting", "@link"]));
    }

    #[test]
    fn who_joins_publishes_or_records() {
        let parsed = |what: &[&str]| {
            let line = ["mmr-client", "join", "@link"].iter().chain(what);
            Args::try_parse_from(line).is_ok()
        };
        assert!(parsed(&["--audio", "a.ogg", "--record", "dir"]));
        assert!(parsed(&["--record", "dir", "--proxy", "@proxy", "-6", "--json"]));
        assert!(!parsed(&[]) && !parsed(&["--loop"]));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["10", "s", "-1s", "ten seconds"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_never_stands_in_help_or_errors() {
        for line in [
            &["mmr-client", "trace", "--mmr", "!", "--token", "secret-token"][..],
            &[
                "mmr-client",
                "join",
                "http://h/j/1#secret",
                "--proxy",
                "secret",
                "--audio",
                "a",
                "!",
            ],
            &["mmr-client", "trace", "--meeting", "secret", "--mmr", "!", "--proxy", "secret"],
        ] {
            let error = Args::try_parse_from(line).map(|_| ()).map_err(|error| error.to_string());
            assert!(error.is_err_and(|text| !text.contains("secret")), "{line:?}");
        }
    }
}
