//! Reads what the kernel tells of the host.
//!
//! A file that can't be read, or is not what it should be, leaves its counts at zero: the rest of
//! the report is worth sending. That is logged once, not every second.

mod files;

use crate::core::{HostSample, InterfaceSample};
use crate::proc::{self, InterfaceCounts, Malformed};
use files::read;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wire::load::Pressure;

/// Samples the host.
#[derive(Debug)]
pub(crate) struct Host {
    /// Empty: all that are up.
    interfaces: Vec<String>,
    /// Of interfaces that do not tell their own, in bits a second.
    speed: Option<u64>,
    /// Files whose fault was logged.
    faulty: BTreeSet<PathBuf>,
}

impl Host {
    pub(crate) fn new(interfaces: Vec<String>, speed: Option<u64>) -> Self {
        Self { interfaces, speed, faulty: BTreeSet::new() }
    }

    /// What is counted now; media ports are those whose sockets' drops are wanted.
    pub(crate) fn sample(&mut self, media_ports: &[u16]) -> HostSample {
        let sockets = |text: &str| proc::socket_drops(text, media_ports);
        let udp = self.count("/proc/net/snmp", proc::udp_errors);
        let udp6 = self.count("/proc/net/snmp6", proc::udp6_errors);
        let drops = self.count("/proc/net/udp", sockets);
        let drops6 = self.count("/proc/net/udp6", sockets);
        HostSample {
            cores: self.count("/proc/stat", proc::core_times),
            softnet: self.count("/proc/net/softnet_stat", proc::softnet),
            udp: proc::UdpErrors {
                receive_buffer: udp.receive_buffer.saturating_add(udp6.receive_buffer),
                send_buffer: udp.send_buffer.saturating_add(udp6.send_buffer),
            },
            media_port_drops: drops.saturating_add(drops6),
            interfaces: self.interfaces(),
            memory: self.count("/proc/meminfo", proc::memory),
            pressure: pressure(),
        }
    }

    /// What a parser makes of a file, or nothing.
    fn count<T: Default>(
        &mut self,
        file: &str,
        parse: impl FnOnce(&str) -> Result<T, Malformed>,
    ) -> T {
        let path = Path::new(file);
        let fault = match read(path) {
            Ok(text) => match parse(&text) {
                Ok(counts) => return counts,
                Err(Malformed) => "it is not what this kernel should write".to_owned(),
            },
            Err(cause) => cause.to_string(),
        };
        // An absent file is how a kernel says that it lacks IPv6.
        if path.exists() && self.faulty.insert(path.to_owned()) {
            tracing::warn!(file, fault, "can't be counted: reports go without it");
        }
        T::default()
    }

    fn interfaces(&mut self) -> Vec<InterfaceSample> {
        let counts = self.count("/proc/net/dev", proc::interfaces);
        let is_wanted = |it: &InterfaceCounts| match self.interfaces.as_slice() {
            [] => is_up(&it.name),
            wanted => wanted.contains(&it.name),
        };
        let wanted = counts.into_iter().filter(is_wanted);
        wanted
            .map(|counts| {
                let speed_bits_per_s = speed(&counts.name).or(self.speed);
                InterfaceSample { counts, speed_bits_per_s }
            })
            .collect()
    }
}

/// Absent where the kernel was built or started without it.
fn pressure() -> Option<Pressure> {
    let stalls = |resource: &str| {
        let text = read(&Path::new("/proc/pressure").join(resource)).ok()?;
        proc::stalls(&text).ok()
    };
    let (cpu, memory, io) = (stalls("cpu")?, stalls("memory")?, stalls("io")?);
    Some(Pressure {
        cpu_some: cpu.some,
        memory_some: memory.some,
        memory_full: memory.full,
        io_some: io.some,
    })
}

fn speed(interface: &str) -> Option<u64> {
    proc::speed_bits_per_s(&read(&of_interface(interface, "speed")).ok()?)
}

/// Virtual ones don't know; those of which nothing can be read count.
fn is_up(interface: &str) -> bool {
    read(&of_interface(interface, "operstate")).map_or(true, |state| state.trim() != "down")
}

fn of_interface(name: &str, file: &str) -> PathBuf {
    Path::new("/sys/class/net").join(name).join(file)
}
