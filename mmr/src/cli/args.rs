//! What can be typed, with the help that teaches it.

use crate::config::{FILE, parse_duration};
use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use wire::Kind;
use wire::token::Role;

/// An open multimedia router: forwards audio, video and content between the participants of
/// meetings.
#[derive(Parser)]
#[command(name = "mmr", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "\
Try it out:
  mmr dev                                   a router of your own, with ready client commands
Run it for real:
  mmr check --config /etc/mmr/mmr.toml      says what is wrong, before a restart finds out
  mmr run --config /etc/mmr/mmr.toml
Watch it and take it out of service:
  mmr top
  mmr drain --deadline 10m

Exit codes:
  0   done
  1   a command failed while it ran; the last line on standard error says why and what to do
  64  the command line can't be understood
  78  the configuration can't be used";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the router in the foreground
    Run(ConfigArgs),
    /// Check a configuration and the files it names, without running anything
    Check(ConfigArgs),
    /// Run a router for trying out: own certificate, own keys, ready client commands
    Dev(DevArgs),
    /// Sign a join token, with a key file or with the key of the running `mmr dev`
    Token(TokenArgs),
    /// Print a running router's counts as JSON
    Stats(SocketArgs),
    /// Watch a running router: workers, packets, drops, latency
    Top(TopArgs),
    /// Turn newcomers away and tell everybody to move to another router
    Drain(DrainArgs),
    /// Welcome newcomers again
    Undrain(SocketArgs),
}

const RUN_HELP: &str = "\
Examples:
  mmr run --config /etc/mmr/mmr.toml
  mmr check --config mmr.toml && sudo systemctl reload mmr

Signals:
  SIGTERM, SIGINT  drain: newcomers are turned away, everybody is told to move on; ends when nobody is
                   left or drain.deadline has passed; a second one ends at once
  SIGHUP           read certificates, token keys and DSCP again, without losing a packet

Exit codes: 0 ended as asked, 1 failed while running, 64 wrong usage, 78 wrong configuration";

#[derive(Arguments)]
#[command(after_help = RUN_HELP)]
pub(super) struct ConfigArgs {
    /// The configuration; mmr.toml of the source tree is a commented one to start from
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) config: PathBuf,
}

const DEV_HELP: &str = "\
Examples:
  mmr dev                                   on 127.0.0.1, ports 8801 and 443, or free ones if those can't be had
  mmr dev --listen 0.0.0.0 --listen ::      for clients on other hosts too
  mmr dev --tls-port 8443 --workers 4

Not for production: the keys lie in the state folder. Ctrl-C ends it at once.";

#[derive(Arguments)]
#[command(after_help = DEV_HELP)]
pub(super) struct DevArgs {
    /// Address to listen on; may be given several times
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(super) listen: Vec<IpAddr>,
    /// UDP and TCP port of media [default: 8801, or a free one if it can't be had; 0: a free one]
    #[arg(long, value_name = "PORT")]
    pub(super) media_port: Option<u16>,
    /// TLS port: control channels and media [default: 443, or a free one if it can't be had; 0: a
    /// free one]
    #[arg(long, value_name = "PORT")]
    pub(super) tls_port: Option<u16>,
    /// How many workers
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(super) workers: u8,
    /// How workers talk to the kernel
    #[arg(long, value_enum, default_value_t = BackendName::Auto)]
    pub(super) backend: BackendName,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

#[derive(Arguments)]
pub(super) struct StateArgs {
    /// Folder for certificate, keys and admin socket of `mmr dev`, for its owner alone
    /// [default: $XDG_RUNTIME_DIR/mmr-dev, or mmr-dev-UID in the temporary folder]
    #[arg(long, value_name = "DIR", env = "MMR_DEV_DIR")]
    pub(super) state_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum BackendName {
    /// io_uring where it is allowed, else poll
    Auto,
    /// io_uring, or an error
    Uring,
    /// recvmmsg and sendmmsg
    Poll,
}

const TOKEN_HELP: &str = "\
Examples:
  mmr token --meeting standup --participant ada            for the running `mmr dev`
  mmr token --meeting standup --participant bob --role viewer --kind audio --kind video
  mmr token --key signing-key.pem --zone example --meeting standup --participant ada
  openssl genpkey -algorithm ed25519 -out signing-key.pem  a key for a zone of your own, and
  mmr token --key signing-key.pem --public-jwks            its public half, for tokens.keys

A token is valid for 10 minutes at most and can be used once.";

#[derive(Arguments)]
#[command(after_help = TOKEN_HELP)]
pub(super) struct TokenArgs {
    /// The meeting; it begins when its first participant joins
    #[arg(long, value_name = "NAME", required_unless_present = "public_jwks")]
    pub(super) meeting: Option<String>,
    /// The participant's name within the meeting
    #[arg(long, value_name = "NAME", required_unless_present = "public_jwks")]
    pub(super) participant: Option<String>,
    /// What the participant may do
    #[arg(long, value_enum, default_value_t = RoleName::Attendee)]
    pub(super) role: RoleName,
    /// A kind the participant may connect; may be given several times [default: all]
    #[arg(long, value_enum)]
    pub(super) kind: Vec<KindName>,
    /// How long the token is valid
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(super) lifetime: Duration,
    /// Private key, Ed25519 in PKCS#8 PEM [default: that of the running `mmr dev`]
    #[arg(long, value_name = "FILE", requires = "zone_or_jwks")]
    pub(super) key: Option<PathBuf>,
    /// The zone the token is for
    #[arg(long, value_name = "NAME", group = "zone_or_jwks")]
    pub(super) zone: Option<String>,
    /// Print the key's public half as JWKS instead of a token
    #[arg(long, group = "zone_or_jwks")]
    pub(super) public_jwks: bool,
    #[command(flatten)]
    pub(super) state: StateArgs,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RoleName {
    /// Everything
    Host,
    /// Publish and subscribe
    Attendee,
    /// Subscribe only
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Host => Self::Host,
            RoleName::Attendee => Self::Attendee,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum KindName {
    Audio,
    Video,
    Content,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Audio => Self::Audio,
            KindName::Video => Self::Video,
            KindName::Content => Self::Content,
        }
    }
}

#[derive(Arguments)]
pub(super) struct SocketArgs {
    /// The router's admin socket [default: /run/mmr/admin.sock, else that of the running `mmr dev`]
    #[arg(long, value_name = "PATH", env = "MMR_ADMIN_SOCKET")]
    pub(super) socket: Option<PathBuf>,
}

const TOP_HELP: &str = "\
Examples:
  mmr top                      live; q ends it
  mmr top --count 1 | cat      one look as plain text, over one interval

Rates are over the last interval. What a drop reason means stands in docs/metrics.md.";

#[derive(Arguments)]
#[command(after_help = TOP_HELP)]
pub(super) struct TopArgs {
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(super) interval: Duration,
    /// How many looks [default: no end on a terminal, else 1]
    #[arg(long, value_name = "COUNT")]
    pub(super) count: Option<u32>,
    #[command(flatten)]
    pub(super) socket: SocketArgs,
}

const DRAIN_HELP: &str = "\
Examples:
  mmr drain --deadline 10m                                    tell everybody, return at once
  mmr drain --deadline 10m --wait && systemctl stop mmr       wait until nobody is left
  mmr undrain                                                 changed your mind

Media goes on for those who stay: nobody is cut off by a drain. With --wait the exit code is 0 when
everybody left, 1 when the deadline passed before.";

#[derive(Arguments)]
#[command(after_help = DRAIN_HELP)]
pub(super) struct DrainArgs {
    /// Until when participants should have moved on
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(super) deadline: Duration,
    /// Return only when nobody is left, or at the deadline
    #[arg(long)]
    pub(super) wait: bool,
    #[command(flatten)]
    pub(super) socket: SocketArgs,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        "use a whole number and its unit, such as 500ms, 90s, 10m or 2h; 8760h at most".to_owned()
    };
    parse_duration(text).ok_or_else(wrong)
}
