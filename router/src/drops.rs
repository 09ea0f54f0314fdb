//! Why a packet did not leave. Every drop has one reason and is counted, never logged.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $label:literal,)+) => {
        /// Why a packet did not leave.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)+ }

        impl DropReason {
            /// Every reason, in the order of its index.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in stats and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }
        }
    };
}

reasons! {
    /// Not STUN, RTP or RTCP, or not well formed.
    Malformed = "malformed",
    /// Larger than any packet may be.
    Oversized = "oversized",
    /// Did not fit the receive buffer.
    Truncated = "truncated",
    /// From an address no link is bound to.
    Stranger = "stranger",
    /// STUN for a user fragment no link has.
    UnknownUfrag = "unknown_ufrag",
    /// STUN whose integrity is wrong.
    StunForged = "stun_forged",
    /// A check that would move a link again too soon.
    CheckLimit = "check_limit",
    /// RTP whose SSRC is not of the link it came on.
    WrongSsrc = "wrong_ssrc",
    /// Over the bitrate its layer declared.
    OverRate = "over_rate",
    /// Of a layer that a worker gave up for a while, as it could not keep up: video, then content, never audio.
    Overload = "overload",
    /// Seen before: a replay or a duplicate.
    Duplicate = "duplicate",
    /// Too far behind to be told from a replay.
    TooOld = "too_old",
    /// RTCP whose tag is wrong.
    RtcpForged = "rtcp_forged",
    /// RTCP seen before.
    RtcpReplayed = "rtcp_replayed",
    /// More RTCP than a link may send.
    FeedbackLimit = "feedback_limit",
    /// A sender report too soon after the one before of its layer.
    ReportLimit = "report_limit",
    /// Feedback about a layer the link does not receive.
    FeedbackStray = "feedback_stray",
    /// A NACK for a packet no longer kept, or never heard.
    NotInHistory = "not_in_history",
    /// More retransmissions asked for than a link may have.
    RepairLimit = "repair_limit",
    /// The route's link is not bound, or lost consent.
    Unbound = "unbound",
    /// It waited in a socket until nobody knew any more whom the kernel had served: given out on request only.
    ExpressForgotten = "express_forgotten",
    /// The outbox was full.
    OutboxFull = "outbox_full",
    /// The socket's send buffer was full.
    SendBufferFull = "send_buffer_full",
    /// The kernel refused the send.
    SendFailed = "send_failed",
    /// The queue to the stream thread was full, or its buffers used up.
    StreamQueueFull = "stream_queue_full",
    /// Too old by the time a TCP or TLS connection could take it.
    StreamLate = "stream_late",
    /// The queue from the stream thread to the worker was full.
    StreamInboxFull = "stream_inbox_full",
    /// The queue to another worker was full.
    PeerQueueFull = "peer_queue_full",
    /// The queue of events to the control thread was full.
    EventQueueFull = "event_queue_full",
    /// The connection closed before the packet was written.
    StreamClosed = "stream_closed",
}

/// One count per reason. Plain numbers: each has one writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCounters([u64; DropReason::ALL.len()]);

impl Default for DropCounters {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl DropCounters {
    /// Counts one packet.
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }
    /// Counts several.
    pub fn add(&mut self, reason: DropReason, packets: u64) {
        self.0[reason as usize] += packets;
    }
    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
    /// The count of one reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }
    /// The sum.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
