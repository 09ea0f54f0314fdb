//! Every limit of the router, and how they relate.

use std::time::Duration;

/// Versions of an express layer's destinations that workers remember.
pub const EXPRESS_VERSIONS: usize = 8;
/// No version has a lower generation. Others on a host that mark packets (docs/operations.md) use small numbers.
pub const EXPRESS_GENERATION_MIN: u32 = 0x4d4d_0000;
/// The kernel's mark of packets that are over their layer's rate.
pub const EXPRESS_OVER_RATE: u32 = EXPRESS_GENERATION_MIN - 1;
/// Links at once, all kinds and transports.
pub const LINKS_MAX: u32 = 65_536;
/// Layers at once.
pub const LAYERS_MAX: u32 = 65_536;
/// Routes at once (layer → link).
pub const ROUTES_MAX: u32 = 1 << 20;
/// One switch may wait for this many configured routes; more switch without waiting for a keyframe.
pub const ROUTES_PER_SWITCH: u32 = 8;
/// Destinations of one layer.
pub const DESTINATIONS_MAX: u32 = 4_096;
/// Participants of one meeting.
pub const PARTICIPANTS_PER_MEETING_MAX: u32 = 4_095;
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
/// How soon a client that got no answer checks again (docs/protocol.md).
pub const CHECK_RETRY: Duration = Duration::from_millis(200);
/// Least time between two moves of one link: each is told to every worker, its network and control.
pub const MOVE_INTERVAL: Duration = Duration::from_millis(50);
/// Least time between two messages to other workers that a link is where it was. Shorter than clients ever wait
/// before they check again, so that every such check mends what a full queue lost before.
pub const CONSENT_TOLD_INTERVAL: Duration = Duration::from_millis(100);
/// How long a participant may be without its control channel.
pub const RESUME_TIMEOUT: Duration = Duration::from_secs(30);
/// How long packets are kept for retransmission.
pub const HISTORY_AGE_MAX: Duration = Duration::from_secs(1);
/// Packet ids with masks one NACK order carries between workers; a longer NACK is split.
pub const NACK_ENTRIES_MAX: usize = 16;
/// Least time between two PLIs to one layer's publisher.
pub const PLI_INTERVAL: Duration = Duration::from_millis(500);

/// What a layer may take of its declared bitrate, in percent: the declared bits are those of whole RTP packets, and
/// encoders overshoot. Retransmissions a gap was asked for count as well.
pub const POLICE_PERCENT: u64 = 125;
/// No layer is held to less than this, bits per second: headers outweigh the payload of slow audio.
pub const POLICE_BITRATE_MIN: u64 = 64_000;
/// How far ahead of its rate a layer may run at once: half a second's worth…
pub const POLICE_BURST: Duration = Duration::from_millis(500);
/// …and at least this many bytes, so that the keyframe of a slow layer passes whole.
pub const POLICE_BURST_BYTES_MIN: u64 = 64 * 1024;
/// A smaller packet counts as this many bytes: packets cost work, whatever their size.
pub const POLICE_PACKET_BYTES_MIN: u32 = 64;

/// A worker whose turns take this long is behind: what it hears waits as long as what it sends…
pub const OVERLOAD_TURN: Duration = Duration::from_millis(10);
/// …and how often it decides whether it is.
pub const OVERLOAD_WINDOW: Duration = Duration::from_millis(50);

/// How many sequence numbers back a packet is still told from a duplicate.
pub const SEQ_WINDOW: u64 = 1024;
/// A packet farther ahead than this is taken only when its successor follows (RFC 3550 §A.1, MAX_DROPOUT).
pub const SEQ_JUMP_MAX: u16 = 3000;
/// After this much silence a packet that seems older than the window may be far ahead instead: in less, no layer sends
/// half a cycle of full packets. Of what is replayed sooner, nothing moves the window.
pub const SEQ_SILENCE: Duration = Duration::from_secs(6);

/// How long a gap may be reordering before it is called a loss and asked for.
pub const NACK_DELAY: Duration = Duration::from_millis(10);
/// How long an answer to a NACK may take before it is asked for again.
pub const NACK_RETRY: Duration = Duration::from_millis(50);
/// How often a lost packet is asked for: half a second, in which 5 % loss both ways leaves 1 gap in 10^10.
pub const NACK_TRIES_MAX: u8 = 10;
/// A longer gap is an outage: it is not asked for. Nor are more of one layer at once.
pub const NACK_GAP_MAX: u64 = 512;
/// Packets in front of a layer's first that are asked for: more than that, and the publisher starts elsewhere.
pub const BEGINNING_GAP_MAX: u64 = 64;
/// Gaps one worker follows at once, in packets, all layers together.
pub const MISSING_MAX: usize = 16_384;
/// RTCP packets per second one link may send to one worker: each may become messages to other workers…
pub const FEEDBACK_RATE: u32 = 1_000;
/// …and at once.
pub const FEEDBACK_BURST: u32 = 500;
/// Retransmissions per second one link may have from one worker…
pub const REPAIR_RATE: u32 = 1_000;
/// …and at once.
pub const REPAIR_BURST: u32 = 500;
/// Memory of the history per packet it may hold, in bytes: it holds fewer if packets are larger on average.
pub const HISTORY_BYTES_PER_PACKET: usize = 1_280;
/// Packets one worker's history may hold: 2.5 GiB.
pub const HISTORY_PACKETS_MAX: usize = 1 << 21;

/// How often a layer's loudness is told.
pub const LEVEL_INTERVAL: Duration = Duration::from_millis(100);
/// How often a publisher hears how its layers arrive.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Least time between two sender reports of one layer that are relayed.
pub const SENDER_REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// How long feedback also goes to the worker that heard the publisher before its address changed: as long as that
/// worker's history may hold what is asked for, and the asking takes.
pub const PREVIOUS_HOME: Duration = Duration::from_secs(2);

/// Events a router holds for its worker.
pub const ROUTER_EVENTS_MAX: usize = 8_192;
/// Messages to other workers a router holds for its worker.
pub const ROUTER_PEERS_MAX: usize = 4_096;
/// Timers one call of `Router::handle_timeout` serves; the rest is due at once.
pub const TIMERS_PER_CALL_MAX: usize = 1_024;

const _: () = assert!(EXPRESS_VERSIONS.is_power_of_two());
const _: () = assert!(SEQ_WINDOW.is_power_of_two());
const _: () = assert!(BITRATE_MAX as u64 / 8 / 1_200 * SEQ_SILENCE.as_secs() < 1 << 15);
const _: () = assert!(NACK_GAP_MAX < SEQ_WINDOW);
const _: () = assert!(BEGINNING_GAP_MAX <= NACK_GAP_MAX);
// One participant's layers, all full of gaps, leave room for others.
const _: () = assert!(
    MISSING_MAX as u64 > NACK_GAP_MAX * (wire::limits::LAYERS_MAX * wire::Kind::ALL.len()) as u64
);
const _: () =
    assert!(NACK_RETRY.as_millis() * NACK_TRIES_MAX as u128 <= HISTORY_AGE_MAX.as_millis());
const _: () = assert!(HISTORY_AGE_MAX.as_millis() <= PREVIOUS_HOME.as_millis());
const _: () = assert!(HISTORY_PACKETS_MAX * HISTORY_BYTES_PER_PACKET < u32::MAX as usize - 65_536);
const _: () = assert!(HISTORY_BYTES_PER_PACKET < wire::limits::PACKET_LEN_MAX);
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
const _: () = assert!(CONSENT_TOLD_INTERVAL.as_millis() * 2 <= CHECK_RETRY.as_millis());
const _: () = assert!(MOVE_INTERVAL.as_millis() < CHECK_RETRY.as_millis());
const _: () = assert!(CONSENT_INTERVAL.as_secs() * 3 <= CONSENT_TIMEOUT.as_secs());
