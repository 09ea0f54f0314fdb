//! /proc/meminfo.

use super::Malformed;
use wire::load::Memory;

/// What there is, and what could be had.
///
/// # Errors
/// One of them is missing.
pub fn memory(text: &str) -> Result<Memory, Malformed> {
    let bytes = |wanted: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(wanted))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kib.checked_mul(1024)
    };
    match (bytes("MemTotal:"), bytes("MemAvailable:")) {
        (Some(total_bytes), Some(available_bytes)) => Ok(Memory { total_bytes, available_bytes }),
        _ => Err(Malformed),
    }
}
