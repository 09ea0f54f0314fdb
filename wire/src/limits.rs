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

const _: () = assert!(STUN_LEN_MAX < PACKET_LEN_MAX);
const _: () = assert!(TOKEN_LEN_MAX < CONTROL_MESSAGE_LEN_MAX);
