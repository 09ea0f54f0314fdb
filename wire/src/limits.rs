//! Limits of the formats: what a well-behaved peer never exceeds.

/// Largest RTP or RTCP packet accepted, in bytes: an Ethernet frame's payload less IPv4 and UDP
/// headers would be 1472; IPv6 leaves 1452; the rest is head room for jumbo-tolerant peers on
/// loopback tests.
pub const PACKET_LEN_MAX: usize = 1500;
/// Most layers of one stream.
pub const LAYERS_MAX: usize = 8;
/// Largest control message, in bytes, either way.
pub const CONTROL_MESSAGE_LEN_MAX: usize = 64 * 1024;
/// Longest join token, in bytes; checked before any cryptography.
pub const TOKEN_LEN_MAX: usize = 2048;
/// Longest lifetime of a join token, in seconds.
pub const TOKEN_LIFETIME_S_MAX: u64 = 600;
/// Longest lifetime of a zone controller's ticket, in seconds.
pub const TICKET_LIFETIME_S_MAX: u64 = 86_400;
/// Longest name (meeting, participant, zone) in a token, in bytes.
pub const NAME_LEN_MAX: usize = 64;
/// Length of the MMR's ICE user fragments, in characters.
pub const UFRAG_LEN: usize = 8;
/// Longest STUN message accepted, in bytes.
pub const STUN_LEN_MAX: usize = 512;
/// Largest load report, in bytes: one with as many meetings as may be listed.
pub const REPORT_LEN_MAX: usize = 2 << 20;
/// Largest answer to a load report, in bytes.
pub const REPLY_LEN_MAX: usize = 4096;
/// Longest deadline of a drain, in seconds: a year.
pub const DRAIN_DEADLINE_S_MAX: u64 = 8_760 * 3_600;
/// Most meetings listed in one report.
pub const REPORT_MEETINGS_MAX: usize = 4096;
/// Most workers, cores' worth of them, in one report.
pub const REPORT_WORKERS_MAX: usize = 256;
/// Most network interfaces in one report.
pub const REPORT_INTERFACES_MAX: usize = 64;
/// Longest text in a report, in bytes: a URL, a reason, a version.
pub const REPORT_TEXT_LEN_MAX: usize = 256;

// A meeting's name may need six bytes of JSON for each of its own.
const _: () = assert!(REPORT_MEETINGS_MAX * (NAME_LEN_MAX * 6 + 64) < REPORT_LEN_MAX);
const _: () = assert!(STUN_LEN_MAX < PACKET_LEN_MAX);
const _: () = assert!(TOKEN_LEN_MAX < CONTROL_MESSAGE_LEN_MAX);
