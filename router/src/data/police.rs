//! Token buckets, kept as one time stamp each: the instant at which the bucket would be full again
//! (the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371 annex A).

use super::clock::{Stamp, nanos};
use crate::limits;
use wire::Bitrate;

/// A rate and how far ahead of it one may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Price of one unit, in 1/256 ns: 64 kbit/s need 17 bits before the point, 60 Mbit/s some bits behind it.
    pub price_256: u64,
    /// How far ahead of its time what was taken may be paid.
    pub burst_ns: u64,
}

/// A rate, and what was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// When everything taken so far is paid for.
    paid_at: u64,
    rate: Rate,
}

impl Rate {
    /// A layer's, in bytes.
    pub fn of_layer(declared: Bitrate) -> Self {
        let bitrate = u64::from(declared.0) * limits::POLICE_PERCENT / 100;
        let bitrate = bitrate.max(limits::POLICE_BITRATE_MIN);
        let price_256 = (8_000_000_000 << 8) / bitrate;
        let bytes_ns = (limits::POLICE_BURST_BYTES_MIN * price_256) >> 8;
        Self { price_256, burst_ns: nanos(limits::POLICE_BURST).max(bytes_ns) }
    }
}

impl Bucket {
    /// A layer's, in bytes.
    pub(super) fn of_layer(declared: Bitrate) -> Self {
        Self { paid_at: 0, rate: Rate::of_layer(declared) }
    }

    /// A link's retransmissions, in packets.
    pub(super) fn of_repair() -> Self {
        Self::of_packets(limits::REPAIR_RATE, limits::REPAIR_BURST)
    }

    /// A link's RTCP, in packets.
    pub(super) fn of_feedback() -> Self {
        Self::of_packets(limits::FEEDBACK_RATE, limits::FEEDBACK_BURST)
    }

    fn of_packets(per_second: u32, burst: u32) -> Self {
        let price_256 = (1_000_000_000 << 8) / u64::from(per_second);
        let burst_ns = (u64::from(burst) * price_256) >> 8;
        Self { paid_at: 0, rate: Rate { price_256, burst_ns } }
    }

    /// Takes `units` if the bucket is not empty; whoever finds it not empty may overdraw it once.
    pub(super) fn take(&mut self, units: u32, now: Stamp) -> bool {
        let from = self.paid_at.max(now.0);
        if from - now.0 >= self.rate.burst_ns {
            return false;
        }
        self.paid_at = from + ((u64::from(units) * self.rate.price_256) >> 8);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_layer_may_burst_and_is_then_held_to_its_rate() {
        let mut bucket = Bucket::of_layer(Bitrate(1_000_000));
        let mut taken = 0u64;
        for ms in 0..10_000u64 {
            let now = Stamp::default().plus(Duration::from_millis(ms));
            for _ in 0..4 {
                taken += if bucket.take(1_000, now) { 1_000 } else { 0 };
            }
        }
        let sustained = 1_000_000 / 8 * 10 * limits::POLICE_PERCENT / 100;
        let burst =
            (1_000_000 / 8 * limits::POLICE_PERCENT / 100 / 2).max(limits::POLICE_BURST_BYTES_MIN);
        assert!(
            (sustained + burst - 2_000..=sustained + burst + 1_000).contains(&taken),
            "{taken}"
        );
    }

    #[test]
    fn a_keyframe_of_64_kib_passes_on_the_slowest_layer() {
        let mut bucket = Bucket::of_layer(Bitrate(1));
        let passed = (0..100).filter(|_| bucket.take(1_024, Stamp(0))).count();
        assert_eq!(passed, 64);
    }

    #[test]
    fn a_link_gets_its_repair_burst_at_once_and_no_more() {
        let mut bucket = Bucket::of_repair();
        let passed = (0..2_000).filter(|_| bucket.take(1, Stamp(7))).count();
        assert_eq!(passed, limits::REPAIR_BURST as usize);
    }
}
