//! /proc/net/dev, and the speed in /sys/class/net: what went through each network interface.

use super::Malformed;
use wire::limits::REPORT_INTERFACES_MAX;

/// One interface's counts since it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// Such as `eth0`.
    pub name: String,
    /// Received.
    pub bytes_in: u64,
    /// Received.
    pub packets_in: u64,
    /// Sent.
    pub bytes_out: u64,
    /// Sent.
    pub packets_out: u64,
    /// Dropped or damaged, both ways.
    pub drops: u64,
}

/// Every interface but loopback, as many as a report may have.
///
/// # Errors
/// A line that is no interface's.
pub fn interfaces(text: &str) -> Result<Vec<InterfaceCounts>, Malformed> {
    let lines = text.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:"));
    lines.take(REPORT_INTERFACES_MAX).map(interface).collect()
}

/// `eth0: bytes packets errs drop fifo frame compressed multicast`, the first four again for what
/// was sent. The kernel lets no name have a colon.
fn interface(line: &str) -> Result<InterfaceCounts, Malformed> {
    let (name, counts) = line.split_once(':').ok_or(Malformed)?;
    let counts: Vec<u64> =
        counts.split_whitespace().map_while(|count| count.parse().ok()).collect();
    let &[bytes_in, packets_in, errs_in, drop_in, _, _, _, _, ref out @ ..] = counts.as_slice()
    else {
        return Err(Malformed);
    };
    let &[bytes_out, packets_out, errs_out, drop_out, ..] = out else { return Err(Malformed) };
    let drops = [errs_in, drop_in, errs_out, drop_out];
    Ok(InterfaceCounts {
        name: name.trim().to_owned(),
        bytes_in,
        packets_in,
        bytes_out,
        packets_out,
        drops: drops.into_iter().fold(0, u64::saturating_add),
    })
}

/// The file `speed`, in Mbit/s: `None` when nobody knows (-1 of virtual cards).
pub fn speed_bits_per_s(text: &str) -> Option<u64> {
    let mbit: u64 = text.trim().parse().ok()?;
    // Drivers that do not know say all ones, of 16 or 32 bits.
    let known = mbit > 0 && mbit != u64::from(u32::MAX) && mbit != u64::from(u16::MAX);
    if known { mbit.checked_mul(1_000_000) } else { None }
}
