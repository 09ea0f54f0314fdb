//! The control thread: control channels, orders to the workers, reports from them.

pub(crate) mod limits;

pub(crate) use limits::CHANNELS_MAX;
