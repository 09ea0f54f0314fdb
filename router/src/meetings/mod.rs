//! The control plane: who is in which meeting, publishes what and gets what. Decides, and says so by orders.

use crate::{Event, LinkId, Order, Path};
use rand_chacha::ChaCha20Rng;
use std::time::{Duration, Instant};
use wire::control::{Addresses, ClientMessage, ErrorCode, ServerMessage};
use wire::token::Claims;

/// A control channel's number, given by the caller; never given away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u64);

/// What meetings are made with.
#[derive(Clone, Debug)]
pub struct MeetingsConfig {
    /// Where clients reach this MMR's media.
    pub addresses: Addresses,
    /// Links at once.
    pub links: u32,
    /// Layers at once.
    pub layers: u32,
    /// Routes at once.
    pub routes: u32,
    /// Participants per meeting.
    pub participants_per_meeting: u32,
}

/// What is to be done.
pub enum Output {
    /// For every worker, in this sequence.
    Order(Order),
    /// For one channel.
    Message(ChannelId, ServerMessage),
    /// Close the channel after its messages.
    CloseChannel(ChannelId),
    /// Close a TCP or TLS connection: its link is gone.
    ClosePath(Path),
}

/// Counts for stats and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Meetings with a participant.
    pub meetings: u64,
    /// Participants, those without a channel included.
    pub participants: u64,
    /// Streams published.
    pub streams: u64,
    /// Links bound, by `Transport::ALL`.
    pub links: [u64; 3],
}

/// The control plane.
pub struct Meetings {
    _todo: (),
}

impl Meetings {
    /// `random` makes SSRCs, user fragments, passwords and session secrets: seed it from the system, or from a test.
    pub fn new(_config: MeetingsConfig, _random: ChaCha20Rng) -> Self {
        todo!()
    }
    /// A channel whose token was verified (and is used up) joins.
    pub fn handle_join(&mut self, _now: Instant, _channel: ChannelId, _claims: Claims) {
        todo!()
    }
    /// A channel whose first message was refused before it came here: an `error` and a close.
    pub fn refuse(&mut self, _channel: ChannelId, _code: ErrorCode, _message: String) {
        todo!()
    }
    /// Any other message, `resume` included. `join` here is out of order.
    pub fn handle_message(&mut self, _now: Instant, _channel: ChannelId, _message: ClientMessage) {
        todo!()
    }
    /// The channel dropped; its participant may resume.
    pub fn handle_disconnect(&mut self, _now: Instant, _channel: ChannelId) {
        todo!()
    }
    /// A worker reports.
    pub fn handle_event(&mut self, _now: Instant, _event: Event) {
        todo!()
    }
    /// Does what is due: participants who did not resume, active speaker.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }
    /// When `handle_timeout` is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// What is to be done; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }
    /// Turns newcomers away and tells everyone to move on.
    pub fn drain(&mut self, _now: Instant, _deadline: Duration) {
        todo!()
    }
    /// Takes newcomers again.
    pub fn undrain(&mut self) {
        todo!()
    }
    /// Counts.
    pub fn summary(&self) -> Summary {
        todo!()
    }
    /// Where a link is bound, if it is.
    pub fn path(&self, _link: LinkId) -> Option<Path> {
        todo!()
    }
}
