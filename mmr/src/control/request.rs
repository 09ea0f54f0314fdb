//! What channels and the daemon's other parts ask of the control thread.

use super::snapshot::Snapshot;
use crate::express::Each;
use crate::tls::TlsConfigs;
use router::ChannelId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use wire::control::{ClientMessage, ServerMessage};
use wire::load::Meeting;
use wire::mark::Marks;
use wire::token::Verifier;

/// What is asked of the control thread.
pub(super) enum Request {
    /// A channel is open.
    Opened(ChannelId, Outgoing),
    /// A client asks.
    Message(ChannelId, ClientMessage),
    /// A client said something that is no message, for this reason.
    Unreadable(ChannelId, String),
    /// A channel ended.
    Closed(ChannelId, CloseReason),
    /// A connection did not become a channel.
    Refused(&'static str),
}

/// The control thread's end of a channel. Dropped, it closes the channel once its messages are
/// written.
pub(super) struct Outgoing {
    /// Messages, and how many may wait.
    pub(super) messages: mpsc::Sender<ServerMessage>,
    /// Ends a channel whose client does not read, at once.
    pub(super) cut: Arc<Notify>,
}

/// What the daemon, or an operator, asks.
pub(crate) enum Command {
    /// The state at this moment.
    Snapshot(oneshot::Sender<Box<Snapshot>>),
    /// The meetings there are.
    Meetings(oneshot::Sender<Vec<Meeting>>),
    /// Every layer and link that the express plane counts.
    Express(oneshot::Sender<Each>),
    /// Turn newcomers away, tell everybody to move on.
    Drain(Drain, oneshot::Sender<()>),
    /// Take newcomers again.
    Undrain(Asker, oneshot::Sender<()>),
    /// New certificates, token keys and marks.
    Reload(Box<Reload>, oneshot::Sender<()>),
    /// New token keys.
    Keys(Box<Verifier>),
    /// Close every channel and end.
    Stop,
}

/// A drain as it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// Until when everybody should have moved on, from now.
    pub(crate) deadline: Duration,
    pub(crate) asker: Asker,
}

/// Who asks for a drain or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The zone, by the number of its order.
    Zone(u64),
    /// Somebody on this host.
    Host,
    /// The signal that ends the daemon.
    End,
}

impl Asker {
    /// Whoever has the higher one prevails.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Zone(_) => 0,
            Self::Host => 1,
            Self::End => 2,
        }
    }
}

/// What can change while the daemon runs.
pub(crate) struct Reload {
    /// For new connections.
    pub(crate) tls: TlsConfigs,
    /// For new participants.
    pub(crate) verifier: Verifier,
    /// For every packet that follows.
    pub(crate) marks: Marks,
}

/// Why a channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum CloseReason {
    /// The client went.
    Gone,
    /// It left, was refused, or the daemon ends.
    Done,
    /// It did not read what it was sent.
    Slow,
    /// It said nothing, not even a pong.
    Silent,
    /// It connected and said nothing.
    FirstMessageLate,
    /// It sent a message larger than any may be.
    Oversized,
    /// It broke RFC 6455.
    Protocol,
}

impl CloseReason {
    /// The name in stats and metrics, and in the WebSocket's close frame.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Done => "done",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::FirstMessageLate => "first_message_late",
            Self::Oversized => "oversized",
            Self::Protocol => "protocol",
        }
    }

    pub(super) const ALL: [Self; 7] = [
        Self::Gone,
        Self::Done,
        Self::Slow,
        Self::Silent,
        Self::FirstMessageLate,
        Self::Oversized,
        Self::Protocol,
    ];
}
