//! The ends of the wire: who does which receiving work, and what they drop.

use super::{Device, LOAD_CPU, ROUTER_CPU};
use crate::error::BenchError;
use ::tests::{Host, Wire};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::process::Command;

const TOOLS: [(&str, &str); 3] =
    [("ip", "iproute2"), ("ethtool", "ethtool"), ("unshare", "util-linux")];

/// How often the load's end looks for packets by itself, in nanoseconds, as a card with interrupt moderation does.
/// Without it whoever sends pays for waking the other end, 2 µs a packet on a VM, which no real card asks for.
const MODERATION_NS: &str = "50000";
/// How many times it may look and find nothing before it has to be woken again: the most the kernel takes (int).
const FOR_EVER: &str = "2147483647";

/// Two cores and the tools.
pub(super) fn check_host() -> Result<(), BenchError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return Err(BenchError::Host(
            "one core: router and load would share it; give this machine two".to_owned(),
        ));
    }
    for (tool, package) in TOOLS {
        let here = Command::new(tool).arg("--version").output().is_ok();
        if !here {
            return Err(BenchError::Host(format!("{tool} is missing: apt-get install {package}")));
        }
    }
    Ok(())
}

/// Divides the receiving work, once the counter is attached: with it comes the NAPI of the load's end.
pub(super) fn set_up(hosts: &Wire, device: Device) -> Result<(), BenchError> {
    let wire = Wire::INTERFACE;
    if device == Device::Whole {
        // Without XDP, veth has NAPI only for GRO, and uses it only for a peer that does not segment TCP (veth_xmit in
        // the kernel's drivers/net/veth.c). Trains of UDP pass as they are.
        hosts.right.command(&format!("ethtool -K {wire} gro on"));
        hosts.left.command(&format!("ethtool -K {wire} tso off"));
    }
    let load_end = format!("/sys/class/net/{wire}");
    write(&hosts.right, &format!("{load_end}/threaded"), "1")?;
    write(&hosts.right, &format!("{load_end}/gro_flush_timeout"), MODERATION_NS)?;
    write(&hosts.right, &format!("{load_end}/napi_defer_hard_irqs"), FOR_EVER)?;
    let cpus = format!("{:x}", 1 << ROUTER_CPU);
    write(&hosts.left, &format!("/sys/class/net/{wire}/queues/rx-0/rps_cpus"), &cpus)?;
    for (from, to, address) in
        [(&hosts.left, &hosts.right, "10.77.0.2"), (&hosts.right, &hosts.left, "10.77.0.1")]
    {
        let mac = read(to, &format!("/sys/class/net/{wire}/address"))?;
        from.command(&format!("ip neigh replace {address} lladdr {} dev {wire}", mac.trim()));
    }
    pin_napi_threads(wire)
}

/// The kernel calls them `napi/<interface>-<id>`. They go before everything else on their core: a counter that lags
/// behind would make the wire drop.
fn pin_napi_threads(interface: &str) -> Result<(), BenchError> {
    let prefix = format!("napi/{interface}-");
    let mut found = false;
    for process in fs::read_dir("/proc").map_err(host_error)?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let comm = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        if !comm.starts_with(&prefix) {
            continue;
        }
        let mut set = CpuSet::new();
        set.set(LOAD_CPU).map_err(host_error)?;
        sched_setaffinity(Pid::from_raw(pid), &set).map_err(host_error)?;
        crate::meter::schedule_first(pid, 1).map_err(host_error)?;
        found = true;
    }
    if found { Ok(()) } else { Err(BenchError::Host("the wire has no NAPI thread".to_owned())) }
}

/// What the ends of the wire dropped, since they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceDrops {
    /// By the router's interface as it sent: its peer's ring was full.
    pub(crate) router_transmit: u64,
    /// On the way from the load to the router's sockets.
    pub(crate) router_receive: u64,
    /// Datagrams for which the router's sockets had no room (UDP RcvbufErrors).
    pub(crate) router_sockets: u64,
    /// By the load's interface as it sent.
    pub(crate) load_transmit: u64,
}

impl DeviceDrops {
    /// What came since an earlier moment.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            router_transmit: self.router_transmit - earlier.router_transmit,
            router_receive: self.router_receive - earlier.router_receive,
            router_sockets: self.router_sockets - earlier.router_sockets,
            load_transmit: self.load_transmit - earlier.load_transmit,
        }
    }

    pub(super) fn read(hosts: &Wire) -> Result<Self, BenchError> {
        let statistic = |host, name: &str| -> Result<u64, BenchError> {
            let path = format!("/sys/class/net/{}/statistics/{name}", Wire::INTERFACE);
            read(host, &path)?.trim().parse().map_err(host_error)
        };
        Ok(Self {
            router_transmit: statistic(&hosts.left, "tx_dropped")?,
            router_receive: statistic(&hosts.left, "rx_dropped")?,
            router_sockets: receive_buffer_errors(&hosts.left)?,
            load_transmit: statistic(&hosts.right, "tx_dropped")?,
        })
    }
}

/// UDP's RcvbufErrors (Documentation/networking/snmp_counter.rst) of a network.
fn receive_buffer_errors(host: &Host) -> Result<u64, BenchError> {
    let snmp = host.run(|| fs::read_to_string("/proc/thread-self/net/snmp")).map_err(host_error)?;
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let column = names.split(' ').position(|name| name == "RcvbufErrors");
    let value = column.and_then(|column| values.split(' ').nth(column));
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| BenchError::Host("/proc/net/snmp has no RcvbufErrors".to_owned()))
}

/// sysfs shows the network of whoever mounted it, so it is mounted anew, for one process that then goes.
const IN_SYSFS: &str = "mount -t sysfs sysfs /sys && ";

fn write(host: &Host, path: &str, value: &str) -> Result<(), BenchError> {
    sysfs(host, &format!("echo {value} > {path}")).map(drop)
}

fn read(host: &Host, path: &str) -> Result<String, BenchError> {
    sysfs(host, &format!("cat {path}"))
}

fn sysfs(host: &Host, command: &str) -> Result<String, BenchError> {
    let script = format!("{IN_SYSFS}{command}");
    let output = host
        .run(|| Command::new("unshare").args(["--mount", "sh", "-c", &script]).output())
        .map_err(host_error)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(BenchError::Host(format!("{command}: {}", said.trim())))
}

fn host_error(cause: impl std::fmt::Display) -> BenchError {
    BenchError::Host(cause.to_string())
}
