//! How much of everything a tunnel holds and reads, and how the limits relate.

use std::time::Duration;

/// Most zones, and most targets of one.
pub const ZONES_MAX: usize = 256;
/// See [`ZONES_MAX`].
pub const TARGETS_MAX: usize = 16_384;
/// Participants whose tunnels are counted at once.
pub const ACCOUNTS_MAX: usize = 262_144;
/// Addresses whose requests are paced at once.
pub const ADDRESSES_PACED_MAX: usize = 65_536;
/// Longest host of a target: a DNS name (RFC 1035 §2.3.4).
pub const NAME_LEN_MAX: usize = 253;

/// Bytes read at once, in each direction of a tunnel.
pub const BUFFER_LEN: usize = 16 * 1024;
/// Tunnels of one HTTP/2 connection at once.
pub const STREAMS_MAX: u32 = 8;
/// What a client may send ahead on one HTTP/2 stream: 5 Mbit/s at 200 ms.
pub const STREAM_WINDOW: u32 = 128 * 1024;
/// The same on all streams of its connection: none can be starved by the others.
pub const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX;
/// What waits to be sent on one HTTP/2 stream.
pub const SEND_BUFFER_LEN: usize = 64 * 1024;

/// For a target's name to be resolved, and how long the answer is used.
pub const RESOLVE_PATIENCE: Duration = Duration::from_secs(3);
/// See [`RESOLVE_PATIENCE`].
pub const RESOLVED_FOR: Duration = Duration::from_secs(30);
/// How long an old answer is used while there is no new one.
pub const RESOLVED_FOR_MAX: Duration = Duration::from_secs(600);
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 4;
/// For one address of a target to answer.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// For the client's connection to become a tunnel once that was granted.
pub const UPGRADE_PATIENCE: Duration = Duration::from_secs(5);
/// Slowest pace of bytes that can be configured. Whoever waits for it is not idle yet.
pub const BYTES_PER_S_MIN: u32 = 64 * 1024;
/// Most tunnels of one participant that can be configured.
pub const TUNNELS_PER_PARTICIPANT_MAX: u32 = 64;
/// Shortest idle deadline that can be configured.
pub const IDLE_MIN: Duration = Duration::from_secs(1);

const _: () = assert!(SEND_BUFFER_LEN >= BUFFER_LEN);
const _: () = assert!(RESOLVED_FOR.as_secs() < RESOLVED_FOR_MAX.as_secs());
