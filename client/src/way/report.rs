//! Which way a participant came, for people and programs.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use wire::{Kind, Transport};

/// What a connection goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Nothing.
    Direct,
    /// An HTTP proxy.
    Proxy,
    /// An HTTP tunnel.
    Tunnel,
    /// An HTTP proxy, then an HTTP tunnel.
    ProxyAndTunnel,
}

/// The phases of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The web infrastructure was asked for the meeting.
    Lookup,
    /// The best zone was found and settled in.
    Zone,
    /// A controller named an MMR; its control channel was opened.
    Mmr,
    /// A link for each kind of media.
    Media,
}

/// How a participant got in, or how far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WayReport {
    /// Those gone through, in order. Who is told an MMR or a zone begins later.
    pub phases: Vec<PhaseReport>,
    /// The zone, if there was one to choose.
    pub zone: Option<String>,
    /// The HTTP proxy in the way, without its password.
    pub proxy: Option<String>,
    /// The HTTP tunnel used.
    pub tunnel: Option<String>,
    /// How media travels.
    pub media: Vec<KindWay>,
    /// Everything that was tried, in the order it ended.
    pub steps: Vec<TraceStep>,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseReport {
    /// Which.
    pub phase: Phase,
    /// What it went through in the end.
    pub way: Way,
    /// When it began, in microseconds since the start.
    pub at_us: u64,
    /// How long it took.
    pub took_us: u64,
}

/// How one kind of media travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KindWay {
    /// Which kind.
    pub kind: Kind,
    /// Over which transport.
    pub transport: Transport,
    /// Through what.
    pub way: Way,
    /// How long it took to find, transports that do not work included.
    pub took_us: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceStep {
    /// Of which phase.
    pub phase: Phase,
    /// Through what.
    pub way: Way,
    /// Of which kind's link; `None` for all else.
    pub kind: Option<Kind>,
    /// Over which transport, for links.
    pub transport: Option<Transport>,
    /// To where.
    pub target: String,
    /// What was done.
    pub step: &'static str,
    /// When it began, in microseconds since the start.
    pub at_us: u64,
    /// How long it took.
    pub took_us: u64,
    /// What was learned.
    pub detail: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Hears of each step as it ends. Must not block.
#[derive(Clone, Default)]
pub struct StepSink(Option<Arc<Hear>>);

type Hear = dyn Fn(&TraceStep) + Send + Sync;

impl StepSink {
    /// Calls this.
    pub fn new(hear: impl Fn(&TraceStep) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    pub(super) fn tell(&self, step: &TraceStep) {
        if let Some(hear) = &self.0 {
            hear(step);
        }
    }
}

impl fmt::Debug for StepSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepSink(…)")
    }
}

impl WayReport {
    /// One phase, if it was gone through.
    pub fn phase(&self, phase: Phase) -> Option<&PhaseReport> {
        self.phases.iter().find(|report| report.phase == phase)
    }

    /// What did not work, in the order it was found out.
    pub fn failures(&self) -> impl Iterator<Item = &TraceStep> {
        self.steps.iter().filter(|step| step.error.is_some())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Proxy => "proxy",
            Self::Tunnel => "tunnel",
            Self::ProxyAndTunnel => "proxy+tunnel",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lookup => "lookup",
            Self::Zone => "zone",
            Self::Mmr => "mmr",
            Self::Media => "media",
        })
    }
}
