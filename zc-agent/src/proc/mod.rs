//! What the kernel tells in /proc and /sys: text in, counts out.
//!
//! Pure, and it never panics: containers and hypervisors serve files of their own in the kernel's
//! place. A file that is not what it should be is [`Malformed`]; within one, what is not known is
//! passed over, as kernels add to their files.

mod interfaces;
mod memory;
mod pressure;
mod snmp;
mod sockets;
mod softnet;
mod stat;
#[cfg(test)]
mod tests;

pub use interfaces::{InterfaceCounts, interfaces, speed_bits_per_s};
pub use memory::memory;
pub use pressure::{Stalls, stalls};
pub use snmp::{UdpErrors, udp_errors, udp6_errors};
pub use sockets::socket_drops;
pub use softnet::{Softnet, softnet};
pub use stat::{CoreTimes, core_times};
pub use wire::Malformed;
