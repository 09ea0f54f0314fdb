//! /proc/net/softnet_stat: what became of packets on their way from the card, one line a core.

use super::Malformed;

/// All cores' counts since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softnet {
    /// Packets there was no room for.
    pub dropped: u64,
    /// Times the work was broken off because its budget was used up.
    pub squeezed: u64,
}

/// Sums the cores. Hexadecimal columns: processed, dropped, time_squeeze, … (softnet_seq_show in
/// net/core/net-procfs.c).
///
/// # Errors
/// A line with fewer columns, or one that is no number.
pub fn softnet(text: &str) -> Result<Softnet, Malformed> {
    let mut sum = Softnet::default();
    for line in text.lines() {
        let mut columns = line.split_whitespace().skip(1).map(|text| u64::from_str_radix(text, 16));
        let (Some(Ok(dropped)), Some(Ok(squeezed))) = (columns.next(), columns.next()) else {
            return Err(Malformed);
        };
        sum.dropped = sum.dropped.saturating_add(dropped);
        sum.squeezed = sum.squeezed.saturating_add(squeezed);
    }
    Ok(sum)
}
