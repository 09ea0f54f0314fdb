//! The media router's core: packets and time go in, packets and a deadline come out.
//!
//! Two halves, both sans-IO. [`Meetings`] decides: it hears what participants ask on their control channels and
//! answers with messages and [`Order`]s. [`Router`] looks up: one copy per worker, changed by orders alone, it turns
//! what arrives into [`Transmit`]s. No clock is read, no socket opened, no thread started here.
#![forbid(unsafe_code)]

mod data;
pub mod drops;
pub mod ids;
pub mod limits;
mod meetings;
pub mod occupancy;
pub mod order;
pub mod outbox;

pub use data::{Arrival, Counters, Rate, Router, RouterConfig, Traffic};
pub use drops::{DropCounters, DropReason};
pub use ids::{ConnectionId, LayerId, LinkId, MeetingId, Path, SlotId, WorkerId};
pub use meetings::{ChannelId, KindSummary, Meetings, MeetingsConfig, Output, Summary};
pub use occupancy::Occupancy;
pub use order::{
    Event, ExpressVersion, LayerSpec, LinkChange, LinkSpec, NackSet, Order, PeerMessage,
};
pub use outbox::{Outbox, Payload, Source, Transmit};
