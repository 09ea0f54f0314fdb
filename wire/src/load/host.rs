//! What an MMR's host tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The host's part of a report. What a host can't tell is absent or zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostLoad {
    /// Cores online.
    pub cores: u32,
    /// Share of all cores' time that was not idle, 0 to 1; softirqs are part of it, stolen time is
    /// too.
    pub busy: f64,
    /// Share spent in softirqs.
    pub softirq: f64,
    /// Share the hypervisor took.
    pub steal: f64,
    /// Memory.
    pub memory: Memory,
    /// Pressure; absent where the kernel has none (CONFIG_PSI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Each interface that is up, loopback apart.
    #[schemars(length(max = 64))]
    pub interfaces: Vec<InterfaceLoad>,
    /// What was lost on the way through the kernel, whoever it was for.
    pub drops: HostDrops,
}

/// The host's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What could be had without swapping, in bytes.
    pub available_bytes: u64,
}

/// Share of the last ten seconds in which tasks waited for a resource, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pressure {
    /// Some waited for a core.
    pub cpu_some: f64,
    /// Some waited for memory.
    pub memory_some: f64,
    /// All that wanted to run waited for memory.
    pub memory_full: f64,
    /// Some waited for a disk.
    pub io_some: f64,
}

/// One network interface. Bits are those of whole frames as the kernel counts them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InterfaceLoad {
    /// Such as `eth0`.
    #[schemars(length(max = 256))]
    pub name: String,
    /// Packets in, a second.
    pub packets_in_per_s: u64,
    /// Packets out, a second.
    pub packets_out_per_s: u64,
    /// Bits in, a second.
    pub bits_in_per_s: u64,
    /// Bits out, a second.
    pub bits_out_per_s: u64,
    /// Packets dropped or damaged, both ways, a second.
    pub drops_per_s: u64,
    /// What it can carry each way, in bits a second; absent when nobody told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_bits_per_s: Option<u64>,
    /// Share of that in use in the fuller direction, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<f64>,
}

/// What the kernel lost, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostDrops {
    /// Datagrams that found a socket's receive buffer full (snmp: RcvbufErrors).
    pub udp_receive_buffer: u64,
    /// Datagrams that found a socket's send buffer full (snmp: SndbufErrors).
    pub udp_send_buffer: u64,
    /// Datagrams the media port's sockets lost (net/udp: drops).
    pub media_port: u64,
    /// Packets a core had no room for (softnet_stat: dropped).
    pub softnet: u64,
    /// Times a core's softirq ran out of its budget (softnet_stat: time_squeeze).
    pub softnet_squeezed: u64,
}
