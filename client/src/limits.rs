//! Every limit and deadline of the client, and how they relate. docs/protocol.md tells the ones a peer sees.

use std::time::Duration;

/// A UDP link that was not bound by then is given up for TCP.
pub const UDP_DEADLINE: Duration = Duration::from_secs(2);
/// A TCP link, from the first SYN to the answered check, then TLS is tried.
pub const TCP_DEADLINE: Duration = Duration::from_secs(2);
/// A TLS link, from the first SYN to the answered check; then the kind has failed.
pub const TLS_DEADLINE: Duration = Duration::from_secs(5);
/// A check that is not answered is sent again after this.
pub const CHECK_RETRANSMIT: Duration = Duration::from_millis(200);
/// How much later each further address of the same transport is tried (RFC 8305 §5).
pub const ADDRESS_STAGGER: Duration = Duration::from_millis(100);

/// How often a bound link proves consent (RFC 7675 §5.1).
pub const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// A link without an answered check for so long is lost.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// A bound link that hears nothing for so long checks at once: a NAT may have forgotten it.
pub const QUIET_CHECK: Duration = Duration::from_millis(1_500);

/// One question to one zone controller.
pub const ASK_DEADLINE: Duration = Duration::from_secs(3);
/// How much later each further controller is asked, when those before have not answered.
pub const ASK_STAGGER: Duration = Duration::from_millis(300);
/// Least time until the controllers are asked again, when they did not say one; half as much again at random.
pub const ASK_INTERVAL: Duration = Duration::from_millis(300);
/// Largest answer read of a controller or a tunnel, in bytes.
pub const ANSWER_LEN_MAX: usize = 16 * 1024;
/// Largest head of an answer, and of one to `CONNECT`, in bytes.
pub const CONNECT_HEAD_LEN_MAX: usize = 16 * 1024;

/// The proxy is tried, too, when the web infrastructure has not been reached directly by then.
pub const PROXY_STAGGER: Duration = Duration::from_secs(1);
/// One question to the web infrastructure, from the first SYN to its answer. Passcodes are slow to check.
pub const WEB_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked that does not answer, or not as a web infrastructure does.
pub const WEB_TRIES: u32 = 3;
/// How long it is asked again when it says that this helps.
pub const LOOKUP_DEADLINE: Duration = Duration::from_secs(15);
/// How often a meeting is looked up that settles where it was not offered.
pub const LOOKUPS_MAX: usize = 3;
/// Largest answer read of a lookup, in bytes.
pub const FOUND_LEN_MAX: usize = 1 << 20;
/// Zones, controllers of one, and tunnels used of an answer; further ones are passed over.
pub const ZONES_MAX: usize = 256;
/// See [`ZONES_MAX`].
pub const CONTROLLERS_MAX: usize = 16;
/// See [`ZONES_MAX`].
pub const TUNNELS_MAX: usize = 16;

/// Tunnels are tried when no controller has answered by then.
pub const CONTROLLERS_DEADLINE: Duration = Duration::from_millis(5_500);
/// By then the best of the controllers that have answered is taken, whatever else is not measured.
pub const MEASURE_DEADLINE: Duration = Duration::from_secs(3);
/// Controllers measured at once.
pub const PROBES_MAX: usize = 64;
/// Controllers pinged through a tunnel, which lets a participant open 16 connections.
pub const TUNNEL_PROBES_MAX: usize = 8;
/// Round trips that measuring a controller takes at most, besides the transfer: name, TCP, TLS (two), the pings, the
/// request.
pub const PROBE_ROUNDS: u32 = 8;
/// Pings of one controller; their median counts.
pub const PINGS: usize = 3;
/// What is downloaded to measure throughput, in bytes.
pub const DOWNLOAD_LEN: usize = 128 * 1024;
/// By then a tunnel has answered a ping, or is passed over.
pub const TUNNEL_DEADLINE: Duration = Duration::from_secs(5);
/// One tunnel's way to a host, from the first SYN; then the next tunnel is tried.
pub const TUNNEL_PATIENCE: Duration = Duration::from_millis(2_400);
/// How long is waited for what a refused `CONNECT` says besides its status.
pub const REFUSAL_PATIENCE: Duration = Duration::from_millis(500);
/// Addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 16;
/// Steps of a connection that are kept to be reported.
pub const STEPS_MAX: usize = 512;
/// How long the controllers are asked, and MMRs tried, until joining has failed.
pub const ENTRY_DEADLINE: Duration = Duration::from_secs(15);
/// The same for a participant whose MMR is lost. Longer: the zone must notice it, and everybody asks at once.
pub const MOVE_DEADLINE: Duration = Duration::from_secs(60);
/// How long two MMRs may carry the same media after a move, when everybody is at the new one.
pub const OVERLAP: Duration = Duration::from_secs(10);
/// So long before a drain's deadline the old MMR is left in any case.
pub const DRAIN_MARGIN: Duration = Duration::from_secs(1);
/// How long a recording waits for its stream to come again after a move.
pub const RETURN_PATIENCE: Duration = Duration::from_secs(10);
/// How long frames of the new MMR wait for those of the old one that come before them.
pub const SPLICE_PATIENCE: Duration = Duration::from_millis(1_500);

/// A link in use that hears nothing for so long, although it checks, makes its owner ask the zone for another MMR.
pub const SILENT_AFTER: Duration = Duration::from_secs(3);

/// Name lookup, TCP, TLS, WebSocket and join together.
pub const JOIN_DEADLINE: Duration = Duration::from_secs(15);
/// One request on the control channel, a resumption in between included.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(40);
/// How long a dropped control channel may be resumed; the MMR forgets the participant then.
pub const RESUME_TIMEOUT: Duration = Duration::from_secs(30);
/// Between attempts to resume.
pub const RESUME_INTERVAL: Duration = Duration::from_millis(500);
/// How often an idle control channel is pinged.
pub const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A control channel silent for so long is taken for dead.
pub const CHANNEL_TIMEOUT: Duration = Duration::from_secs(25);
/// How long streams known before a resumption have to be announced again.
pub const RESUME_SETTLE: Duration = Duration::from_secs(2);
/// Events of a session that wait for their reader; a peer that sends more than that unread loses the channel.
pub const EVENTS_MAX: usize = 16_384;

/// Largest RTP packet sent, tag included, in bytes: fits every path that carries IPv6 (1280) with room to spare.
pub const RTP_LEN_MAX: usize = 1_200;
/// Most packets handed to the kernel at once; it takes 64 (UDP_MAX_SEGMENTS) but no more than 65,507 bytes.
pub const TRAIN_PACKETS_MAX: usize = 48;
/// How long sent packets are kept to be sent again.
pub const HISTORY_AGE_MAX: Duration = Duration::from_millis(1_500);
/// Packets kept per layer, whatever their age.
pub const HISTORY_PACKETS_MAX: usize = 8_192;
/// How long a publisher stays after its last frame, so that the last losses can be repaired.
pub const LINGER: Duration = Duration::from_secs(2);
/// Sender and receiver reports.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Sender reports while lingering: the last one tells receivers what they miss at the end. The MMR relays one in 250 ms.
pub const LINGER_REPORT_INTERVAL: Duration = Duration::from_millis(300);
/// The last packet is sent again after this, with each report, until a receiver report covers it: nothing else tells
/// the MMR that it is missing. Early enough that receivers, who know of it by the sender report, still ask for it.
pub const TAIL_RESEND_DELAY: Duration = Duration::from_millis(300);

/// A gap is first asked for after this: until then it may be mere reordering.
pub const NACK_DELAY: Duration = Duration::from_millis(15);
/// As [`NACK_DELAY`], for packets that a sender report tells of: it may overtake them.
pub const TAIL_NACK_DELAY: Duration = Duration::from_millis(100);
/// Least time between two requests for the same packet; the round trip is added.
pub const NACK_INTERVAL: Duration = Duration::from_millis(40);
/// How often a packet is asked for.
pub const NACKS_MAX: u32 = 20;
/// A packet missing for so long is lost: the MMR keeps none longer than a second.
pub const REPAIR_DEADLINE: Duration = Duration::from_millis(1_200);
/// Sequence numbers one packet may run ahead; a larger jump is a new start.
pub const GAP_MAX: u64 = 2_048;
/// Packets before the first one heard that are asked for when the stream began only just now.
pub const START_GAP_MAX: u64 = 256;
/// Least time between two requests for a keyframe.
pub const PLI_INTERVAL: Duration = Duration::from_millis(500);
/// Packet ids in one NACK.
pub const NACK_ENTRIES_MAX: usize = 64;
/// Packets delivered by a link that wait for their reader.
pub const DELIVERIES_MAX: usize = 8_192;
/// Frames and orders that wait for a link.
pub const COMMANDS_MAX: usize = 512;
/// Chunks that wait to be written to a TCP or TLS connection; more are dropped and counted.
pub const WRITES_MAX: usize = 1_024;
/// SRTCP senders an MMR may have: one per worker.
pub const RTCP_SENDERS_MAX: usize = 256;

// Checks are sent again several times until then.
const _: () =
    assert!(SILENT_AFTER.as_millis() > QUIET_CHECK.as_millis() + 5 * CHECK_RETRANSMIT.as_millis());
// What can still be repaired at the old MMR is waited for.
const _: () = assert!(SPLICE_PATIENCE.as_millis() > REPAIR_DEADLINE.as_millis());
const _: () = assert!(TRAIN_PACKETS_MAX * RTP_LEN_MAX <= 65_507);
const _: () = assert!(5 + PINGS <= PROBE_ROUNDS as usize && PINGS % 2 == 1);
const _: () = assert!(MEASURE_DEADLINE.as_millis() < CONTROLLERS_DEADLINE.as_millis());
const _: () = assert!(DOWNLOAD_LEN <= wire::zone::DOWNLOAD_LEN_MAX as usize);
// A second tunnel gets its turn.
const _: () = assert!(2 * TUNNEL_PATIENCE.as_millis() < TLS_DEADLINE.as_millis());
const _: () = assert!(RTP_LEN_MAX <= wire::limits::PACKET_LEN_MAX);
const _: () = assert!(NACK_DELAY.as_millis() < REPAIR_DEADLINE.as_millis());
const _: () = assert!(CONSENT_INTERVAL.as_secs() * 3 <= CONSENT_TIMEOUT.as_secs());
const _: () = assert!(LINGER.as_millis() >= REPAIR_DEADLINE.as_millis());
const _: () = assert!(TAIL_RESEND_DELAY.as_millis() * 3 < REPAIR_DEADLINE.as_millis());
const _: () = assert!(START_GAP_MAX < GAP_MAX);
