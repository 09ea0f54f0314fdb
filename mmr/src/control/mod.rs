//! The control thread: control channels, orders to the workers, reports from them, the admin
//! socket.
//!
//! ```text
//!   door ─▶ newcomer ─▶ upgrade ─▶ channel ──requests──▶ ┌────────┐ ──orders──▶ workers, door
//!                                  channel ◀──messages── │ thread │ ◀──events── workers
//!   admin socket, signals ──────────────────commands───▶ └────────┘
//! ```
//!
//! One task per channel speaks TLS, HTTP and WebSocket; one task, [`thread`], owns `Meetings` and
//! everything that decides. It never waits for a worker or for a client.

mod admission;
mod channel;
mod dispatch;
mod handle;
pub(crate) mod limits;
mod newcomer;
mod reports;
mod request;
mod snapshot;
mod thread;
mod tokens;
mod upgrade;

pub(crate) use handle::{Handle, STALLED_AFTER};
pub(crate) use limits::CHANNELS_MAX;
pub(crate) use request::{Asker, Drain, Reload};
pub(crate) use snapshot::{ControlCounts, DoorCounts, Snapshot, WorkerCounts};
pub(crate) use thread::{ControlConfig, start};
