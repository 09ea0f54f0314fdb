//! Every limit of the router, and how they relate.

use std::time::Duration;

/// Links at once, all kinds and transports.
pub const LINKS_MAX: u32 = 65_536;
/// Layers at once.
pub const LAYERS_MAX: u32 = 65_536;
/// Routes at once (layer → link).
pub const ROUTES_MAX: u32 = 1 << 20;
/// Destinations of one layer.
pub const DESTINATIONS_MAX: u32 = 4_096;
/// Participants of one meeting.
pub const PARTICIPANTS_PER_MEETING_MAX: u32 = 2_048;
/// Participants of all meetings, those without a channel included.
pub const PARTICIPANTS_MAX: u32 = 65_536;
/// Names `joined` carries; the others follow as `participant_joined`, so that no message grows past its limit.
pub const ROSTER_MAX: usize = 128;
/// Control messages of one participant at once; after that one per `MESSAGE_INTERVAL`.
pub const MESSAGES_BURST: u32 = 8_192;
/// How often a participant may send a control message, on average.
pub const MESSAGE_INTERVAL: Duration = Duration::from_millis(10);
/// `publish` requests of one participant at once; after that one per `PUBLISH_INTERVAL`. Every one of them is told to
/// the whole meeting.
pub const PUBLISHES_BURST: u32 = 12;
/// How often a participant may publish, on average.
pub const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// Streams one participant subscribes to.
pub const SUBSCRIPTIONS_MAX: u32 = 2_048;
/// Workers of one MMR.
pub const WORKERS_MAX: usize = 64;
/// Highest bitrate a layer may declare, bits per second.
pub const BITRATE_MAX: u32 = 50_000_000;
/// Transmits an outbox holds before the worker must transmit.
pub const OUTBOX_MAX: usize = 16_384;
/// How often a client proves consent (RFC 7675 §5.1).
pub const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// After how long without it nothing more is sent (RFC 7675 §5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a participant may be without its control channel.
pub const RESUME_TIMEOUT: Duration = Duration::from_secs(30);
/// How long packets are kept for retransmission.
pub const HISTORY_AGE_MAX: Duration = Duration::from_secs(1);
/// Packet ids with masks one NACK order carries between workers; a longer NACK is split.
pub const NACK_ENTRIES_MAX: usize = 16;
/// Least time between two PLIs to one layer's publisher.
pub const PLI_INTERVAL: Duration = Duration::from_millis(500);

const _: () = assert!(DESTINATIONS_MAX as usize <= OUTBOX_MAX);
const _: () = assert!(DESTINATIONS_MAX <= ROUTES_MAX);
const _: () = assert!(PARTICIPANTS_PER_MEETING_MAX <= DESTINATIONS_MAX);
const _: () = assert!(PARTICIPANTS_PER_MEETING_MAX <= PARTICIPANTS_MAX);
// A newcomer may subscribe to everything, and change its mind, without being slowed.
const _: () = assert!(SUBSCRIPTIONS_MAX * 4 <= MESSAGES_BURST);
// Names are escaped in JSON: up to six bytes a byte, two quotes and a comma.
const _: () = assert!(
    ROSTER_MAX * (wire::limits::NAME_LEN_MAX * 6 + 3) + 4_096
        <= wire::limits::CONTROL_MESSAGE_LEN_MAX
);
const _: () = assert!(CONSENT_INTERVAL.as_secs() * 3 <= CONSENT_TIMEOUT.as_secs());
