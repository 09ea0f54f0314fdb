//! Limits of the control thread, and how they relate.

use std::time::Duration;

/// Control channels at once, whatever the operator asks for.
pub(crate) const CHANNELS_MAX: u32 = 65_536;
/// Messages one channel may have waiting; a client that does not read is closed when there are
/// more.
pub(crate) const CHANNEL_QUEUE_MAX: usize = 16_384;
/// Requests of all channels waiting for the control thread; channels wait with reading when there
/// are more.
pub(crate) const REQUESTS_MAX: usize = 1_024;
/// Orders kept for workers whose queue is full; no more requests are taken while there are more.
pub(crate) const ORDER_BACKLOG_MAX: usize = 262_144;
/// Tokens remembered as used. Each is forgotten when it expires, at the latest after
/// `TOKEN_LIFETIME_S_MAX`.
pub(crate) const TOKENS_USED_MAX: usize = 262_144;
/// From accepted connection to finished TLS handshake and WebSocket upgrade.
pub(crate) const UPGRADE_DEADLINE: Duration = Duration::from_secs(10);
/// From upgrade to a `join` or `resume`.
pub(crate) const FIRST_MESSAGE_DEADLINE: Duration = Duration::from_secs(10);
/// A message that could not be written for so long closes its channel.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Pings keep NATs and proxies from forgetting a channel.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A channel that said nothing for so long, not even a pong, is closed.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(40);
/// Requests a channel may make at once…
pub(crate) const REQUEST_BURST_MAX: u32 = 4_096;
/// …and a second for long; more are read later.
pub(crate) const REQUESTS_PER_S_MAX: u32 = 256;
/// How often workers report.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How soon an order is tried again that did not fit a worker's queue.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_millis(2);
/// How long channels have to write their last messages when the daemon ends.
pub(crate) const GOODBYE_MAX: Duration = Duration::from_secs(1);

// Whoever joins is told of every stream of the meeting at once.
const _: () = assert!(
    CHANNEL_QUEUE_MAX > 4 * router::limits::PARTICIPANTS_PER_MEETING_MAX as usize,
    "a newcomer's first messages must fit"
);
// Whoever joins may subscribe to everything at once.
const _: () = assert!(REQUEST_BURST_MAX > router::limits::SUBSCRIPTIONS_MAX);
const _: () = assert!(SILENCE_MAX.as_secs() > 2 * PING_INTERVAL.as_secs());
// What one join or leave orders fits even when every queue is full.
const _: () = assert!(ORDER_BACKLOG_MAX > crate::exchange::ORDERS_MAX);
