//! What can go wrong, told with the likely cause and the remedy.

use crate::link::Attempt;
use crate::media::MediaError;
use crate::options::ControllerUrl;
use crate::payload::PayloadError;
use crate::way::{TraceStep, WayReport};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use wire::Kind;
use wire::control::ErrorCode;
use wire::zone::RefusalCode;

/// Why the client could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The MMR's address does not read `HOST`, `HOST:PORT` or `[IPv6]:PORT`.
    #[error("{0:?} is no address of an MMR; write HOST, HOST:PORT or [IPv6]:PORT")]
    Address(String),
    /// A controller's address is not `https://HOST` or `https://HOST:PORT`.
    #[error("{0:?} is no address of a zone controller; write https://HOST or https://HOST:PORT")]
    ControllerUrl(String),
    /// A controller could not be asked.
    #[error(
        "the zone controller {controller} did not answer: {cause}; if its certificate is the zone's own, pass the CA with --ca FILE"
    )]
    Controller {
        /// Which, the last one asked.
        controller: ControllerUrl,
        /// What went wrong.
        cause: String,
    },
    /// The meeting's link can't be used. Never repeats it: it holds the passcode.
    #[error("the meeting's link can't be used: {0}; it reads https://HOST/j/NUMBER#PASSCODE")]
    Link(String),
    /// The proxy can't be used. Never repeats its URL: it may hold a password.
    #[error("the proxy can't be used: {0}; write --proxy http://HOST:PORT, auto or none")]
    Proxy(String),
    /// The web infrastructure could not be asked.
    #[error(
        "{origin} did not answer: {cause}; if a proxy stands in the way, name it with --proxy or HTTPS_PROXY"
    )]
    Web {
        /// Where.
        origin: String,
        /// What went wrong, the last way that was tried.
        cause: String,
    },
    /// The web infrastructure said no.
    #[error("the meeting can't be joined: {message} ({code:?})")]
    LookupRefused {
        /// For programs.
        code: wire::lookup::RefusalCode,
        /// The web infrastructure's words.
        message: String,
    },
    /// No zone can be reached.
    #[error("no zone can be reached: {0}")]
    NoZone(&'static str),
    /// Nothing worked, from a meeting's link to its media.
    #[error(
        "{cause}{}\nNothing else is left to try. The meeting's page for browsers is {link}; joining there is not possible yet.",
        failures(report)
    )]
    NoWay {
        /// The meeting's, without its passcode.
        link: String,
        /// What came last.
        cause: Box<ClientError>,
        /// Everything that was tried.
        report: Box<WayReport>,
    },
    /// The zone's controllers named no MMR.
    #[error("the zone controller refused: {message} ({code:?})")]
    NotAssigned {
        /// For programs.
        code: RefusalCode,
        /// The controller's words.
        message: String,
    },
    /// The token could not be had.
    #[error(
        "no join token: {0}; get one from `mmr dev` or `mmr token`, pass --token, --token @FILE or MMR_TOKEN"
    )]
    Token(String),
    /// The certificates to trust could not be read.
    #[error("no certificates to trust: {0}; pass the MMR's CA with --ca FILE")]
    Trust(String),
    /// The name has no address.
    #[error("{host} has no address: {cause}; check the name and the DNS server")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        cause: io::Error,
    },
    /// No TCP connection for the control channel.
    #[error(
        "{address} does not take TCP connections: {cause}; is an MMR running there, does a firewall block it?"
    )]
    Connect {
        /// Where.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The TLS handshake failed.
    #[error(
        "no TLS with {address}: {cause}; if the certificate is the MMR's own, pass it with --ca FILE"
    )]
    Tls {
        /// Where.
        address: String,
        /// What rustls said.
        cause: io::Error,
    },
    /// The WebSocket was refused.
    #[error("no control channel at {address}: {cause}; is this an MMR's TLS port?")]
    WebSocket {
        /// Where.
        address: String,
        /// What the handshake said.
        cause: String,
    },
    /// Nothing answered in time.
    #[error(
        "{0} did not answer in time; a firewall that drops silently looks like this, see `mmr-client trace`"
    )]
    Timeout(&'static str),
    /// The MMR said no.
    #[error("the MMR refused: {message} ({code:?}); {}", remedy(*code))]
    Refused {
        /// For programs.
        code: ErrorCode,
        /// The MMR's words.
        message: String,
    },
    /// The control channel dropped and could not be resumed.
    #[error("the control channel is lost: {0}")]
    ChannelLost(String),
    /// The MMR said something that does not follow the protocol.
    #[error("the MMR does not follow the protocol: {0}; is it of another version?")]
    Protocol(&'static str),
    /// No transport works for this kind.
    #[error("no {kind} link: {}; `mmr-client trace` tells more", list(attempts))]
    NoTransport {
        /// Of which kind.
        kind: Kind,
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
    /// The link ended while it was in use.
    #[error("the {0} link is closed")]
    LinkClosed(Kind),
    /// A socket or a file of the bridge or a recording.
    #[error("{what}: {cause}")]
    Io {
        /// Which.
        what: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A file cannot be written.
    #[error("{}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A media file cannot be used.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A frame cannot be sent.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl ClientError {
    /// Whether it is the network that does not let one through: another network, or way, may.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Controller { .. }
                | Self::Web { .. }
                | Self::NoZone(_)
                | Self::NoWay { .. }
                | Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::WebSocket { .. }
                | Self::Timeout(_)
                | Self::NoTransport { .. }
        )
    }
}

/// A line for each step that failed.
fn failures(report: &WayReport) -> String {
    let line = |step: &TraceStep| {
        let TraceStep { phase, way, step: name, target, error, .. } = step;
        let after = Duration::from_micros(step.at_us + step.took_us);
        let error = error.as_deref().unwrap_or_default();
        format!("\n  {phase:<7} {way:<13} {name:<9} {target}: {error} (after {after:.1?})")
    };
    report.failures().map(line).collect()
}

fn list(attempts: &[Attempt]) -> String {
    let lines: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        "the MMR has no address that could be tried over this transport; behind a proxy or in a tunnel only TLS can be"
            .into()
    } else {
        lines.join("; ")
    }
}

/// What a person can do about a refusal.
fn remedy(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadToken => "the token is of another zone or was not copied whole",
        ErrorCode::TokenExpired => "get a new token: they live ten minutes at most",
        ErrorCode::TokenUsed => "get a new token: each serves once",
        ErrorCode::AlreadyJoined => {
            "this participant is in the meeting already; use a token for another name"
        }
        ErrorCode::NotAllowed => {
            "the token's role or kinds do not allow this; ask for another token"
        }
        ErrorCode::LimitReached => "the MMR is full or the stream is too large for it",
        ErrorCode::Draining => "the MMR takes no newcomers; try another one",
        ErrorCode::BadVersion => "client and MMR are of different versions",
        ErrorCode::UnknownSession => "join anew with a fresh token",
        _ => "if this repeats, it is a defect of the client or the MMR",
    }
}
