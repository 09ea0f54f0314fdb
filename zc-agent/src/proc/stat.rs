//! /proc/stat: what each core spent its time with (proc_stat(5)).

use super::Malformed;
use crate::limits::CORES_MAX;
use std::collections::BTreeMap;

/// One core's time since boot, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreTimes {
    /// All of it.
    pub total: u64,
    /// With nothing to do, or waiting for a disk.
    pub idle: u64,
    /// In softirqs.
    pub softirq: u64,
    /// Taken by the hypervisor.
    pub steal: u64,
}

/// Each core that is online, by its number.
///
/// # Errors
/// No core is told.
pub fn core_times(text: &str) -> Result<BTreeMap<u32, CoreTimes>, Malformed> {
    let cores: BTreeMap<_, _> = text.lines().filter_map(core).take(CORES_MAX).collect();
    if cores.is_empty() { Err(Malformed) } else { Ok(cores) }
}

/// `cpu3 user nice system idle iowait irq softirq steal guest guest_nice`; guests' time is within
/// user's and nice's.
fn core(line: &str) -> Option<(u32, CoreTimes)> {
    let (name, times) = line.strip_prefix("cpu")?.split_once(' ')?;
    let number = name.parse().ok()?;
    let times: Vec<u64> = times.split_whitespace().map_while(|time| time.parse().ok()).collect();
    let &[_, _, _, idle, iowait, _, softirq, steal, ..] = times.as_slice() else { return None };
    let total = times[..8].iter().fold(0_u64, |sum, time| sum.saturating_add(*time));
    Some((number, CoreTimes { total, idle: idle.saturating_add(iowait), softirq, steal }))
}
