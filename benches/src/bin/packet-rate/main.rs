//! `packet-rate`: what a router costs per datagram, against the best anyone could do with plain sockets.

mod error;
mod floor;
mod load;
mod meter;
mod rig;
mod sink;
mod stamp;

fn main() {}
