//! The wall clock as NTP: what capture times and sender reports are told in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From 1900 to 1970 (RFC 5905 §6).
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

/// Now, in 32.32 fixed point (RFC 3550 §4).
pub(crate) fn ntp_now() -> u64 {
    // A clock before 1970 is no clock; latencies are wrong then, nothing else.
    ntp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn ntp(since_1970: Duration) -> u64 {
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    (since_1970.as_secs() + NTP_UNIX_OFFSET_S) << 32 | fraction
}

/// From one NTP time to a later one, in microseconds; 0 when it is earlier (clocks that differ).
pub(crate) fn micros_between(earlier: u64, later: u64) -> u64 {
    let fixed = u128::from(later.saturating_sub(earlier));
    u64::try_from((fixed * 1_000_000) >> 32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_counts_from_1900_in_fixed_point() {
        let half = ntp(Duration::from_millis(1_500));
        assert_eq!(half, (NTP_UNIX_OFFSET_S + 1) << 32 | 1 << 31);
        assert_eq!(micros_between(half, ntp(Duration::from_millis(1_750))), 250_000);
        assert_eq!(micros_between(half, 0), 0);
    }
}
