//! What can be said on the command line.

use clap::{Parser, Subcommand};
use client::{
    ClientError, ControllerUrl, Destination, IpChoice, JoinOptions, MmrAddress, RtpInput, Token,
    TransportChoice, Trust,
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
  3  no way to a controller, to the MMR, or to its media: `mmr-client trace` shows where it ends
  4  the MMR or the controllers refused: token, role, or a limit
  5  the session or a link ended before it was done

Tokens are taken from --token, from a file (--token @FILE) or from MMR_TOKEN; the latter two keep them out of the
process list. RUST_LOG=debug tells more.";

/// The native client of the multimedia router: publishes and records media files, bridges RTP tools, traces networks.
#[derive(Parser)]
#[command(name = "mmr-client", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
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

#[derive(clap::Args)]
pub(super) struct Where {
    /// The MMR's TLS port; 443 if none is named.
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        conflicts_with = "controllers",
        required_unless_present = "controllers"
    )]
    mmr: Option<MmrAddress>,
    /// A controller of the zone, which names the MMR to join; repeat it for each there is. publish and record move to
    /// another MMR by themselves when theirs drains or dies.
    #[arg(long = "controller", value_name = "https://HOST[:PORT]")]
    controllers: Vec<ControllerUrl>,
    /// The join token, or @FILE that holds it.
    #[arg(long, env = "MMR_TOKEN", hide_env_values = true, value_name = "TOKEN|@FILE")]
    token: String,
    /// Trust only the certificates in this PEM file, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How media travels: auto tries UDP (2 s), then TCP (2 s), then TLS (5 s), for each kind on its own.
    #[arg(long, default_value = "auto", value_name = "auto|udp|tcp|tls")]
    transport: TransportChoice,
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

impl Where {
    /// Reads the token and the certificates.
    pub(super) fn join(&self) -> Result<JoinOptions, ClientError> {
        let trust = match &self.ca {
            Some(file) => Trust::from_file(file)?,
            None => Trust::system()?,
        };
        let ip = match (self.ipv4, self.ipv6) {
            (true, _) => IpChoice::V4,
            (_, true) => IpChoice::V6,
            _ => IpChoice::Any,
        };
        let token = Token::from_argument(&self.token)?;
        let at = match &self.mmr {
            Some(mmr) => Destination::Mmr(mmr.clone()),
            None => Destination::Zone(self.controllers.clone()),
        };
        Ok(JoinOptions { at, token, trust, transport: self.transport, ip })
    }
}

#[derive(clap::Args)]
#[group(id = "media", required = true, multiple = true, args = ["audio", "video", "content"])]
pub(super) struct PublishArgs {
    #[command(flatten)]
    pub(super) at: Where,
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
    fn one_mmr_or_any_number_of_controllers() {
        let parsed = |at: &[&str]| {
            let line = ["mmr-client", "trace", "--token", "x"].iter().chain(at);
            Args::try_parse_from(line).is_ok()
        };
        assert!(parsed(&["--mmr", "192.0.2.1"]));
        assert!(parsed(&["--controller", "https://a", "--controller", "https://b"]));
        assert!(!parsed(&[]));
        assert!(!parsed(&["--mmr", "192.0.2.1", "--controller", "https://a"]));
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
    fn a_token_never_stands_in_help_or_errors() {
        let line = ["mmr-client", "trace", "--mmr", "!", "--token", "secret-token"];
        let error = Args::try_parse_from(line).map(|_| ()).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| !text.contains("secret-token")));
    }
}
