//! How much of everything a controller holds and reads, and how the limits relate.

use crate::placement::Pace;
use std::time::Duration;

/// Most MMRs of a zone.
pub const MMRS_MAX: usize = 16_384;
/// Most meetings whose newcomers are paced at once.
pub const MEETINGS_PACED_MAX: usize = 65_536;
/// Most meetings that are remembered because their MMRs told of them.
pub const MEETINGS_ANNOUNCED_MAX: usize = 262_144;
/// An MMR that was silent for so long is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Most MMRs that other controllers are asked about at once: if more are silent it is this
/// controller that is cut off.
pub const SUSPECTS_MAX: usize = 1_000;
/// How often controllers tell each other what they hear.
pub const EXCHANGE_INTERVAL: Duration = Duration::from_millis(500);
/// How much longer than `stale` a meeting stays on a silent MMR while other controllers are asked:
/// two exchanges, there and back.
pub const CONFIRM: Duration = Duration::from_secs(1);
/// A controller that did not take part in the exchange for so long no longer counts.
pub const CONTROLLER_GONE: Duration = Duration::from_secs(5);

/// Largest store record, in bytes.
pub const RECORD_LEN_MAX: usize = 256 * 1024;
/// How long the store may take, until the client is told to come back.
pub const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How often an assignment is tried when another controller is faster.
pub const COMMIT_TRIES: usize = 4;

/// How often one participant may ask with its ticket. Each time counts as one more participant for a
/// moment: who asks all the time must not make an MMR look full.
pub const TICKET_PACE: Pace = Pace { per_s: 1, burst: 8 };
/// Participants whose tickets are paced at once.
pub const TICKETS_PACED_MAX: usize = 65_536;

/// How long the token lives that an assignment gives.
pub const TOKEN_LIFETIME_S: u64 = 60;

const _: () = assert!(EXCHANGE_INTERVAL.as_millis() * 2 <= CONFIRM.as_millis());
const _: () = assert!(CONTROLLER_GONE.as_millis() > EXCHANGE_INTERVAL.as_millis() * 4);
const _: () = assert!(TOKEN_LIFETIME_S <= wire::limits::TOKEN_LIFETIME_S_MAX);
// Two lists of ids, quoted and separated.
const _: () = assert!(2 * SUSPECTS_MAX * (wire::limits::NAME_LEN_MAX + 3) + 1_024 < RECORD_LEN_MAX);
