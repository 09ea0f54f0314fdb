//! The native client: media files into a meeting and out of it, over whatever transport the network lets through.
//!
//! ```text
//!  Clip ──frames──▶ Publisher ──▶ Link ═══ UDP, TCP or TLS ═══ MMR ═══ Link ──▶ Recorder ──frames──▶ file
//!                       └── Session ═══ control channel ═══════╝ ╚════ Session ──┘
//! ```
//!
//! [`Publisher`] and [`Recorder`] do what `mmr-client publish` and `record` do. Below them, [`Session`] speaks the
//! control channel, [`link::Link`] carries one kind; [`send::LayerSender`] and [`receive::LayerReceiver`] are
//! sans-IO. It decodes and encodes no media.
#![forbid(unsafe_code)]

pub mod bridge;
mod clock;
mod controllers;
mod dial;
mod entry;
mod error;
#[cfg(test)]
mod fake;
mod https;
pub mod limits;
pub mod link;
pub mod media;
mod moving;
pub mod options;
pub mod payload;
mod progress;
pub mod publish;
pub mod receive;
pub mod record;
pub mod send;
pub mod session;
pub mod trace;
mod way;

pub use bridge::{Bridge, BridgeOptions, BridgeReport, RtpInput, RtpOutput};
pub use dial::{Exceptions, ProxyChoice, ProxyUrl};
pub use error::ClientError;
pub use link::{Link, LinkReport, Rebinding};
pub use media::Clip;
pub use options::{
    ControllerUrl, Destination, IpChoice, JoinOptions, MmrAddress, Token, TransportChoice, Trust,
};
pub use progress::{Progress, ProgressSink, no_progress};
pub use publish::{PublishOptions, PublishReport, Publisher, SentReport, Source};
pub use record::{Ends, RecordOptions, RecordReport, Recorder, StreamReport};
pub use session::{Events, Session, SessionEvent};
pub use trace::{TraceReport, trace};
pub use way::{KindWay, MeetingLink, Phase, PhaseReport, StepSink, TraceStep, Way, WayReport};
