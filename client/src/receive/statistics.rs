//! What is counted of a layer that arrives.

use super::Arrival;
use crate::clock::micros_between;
use crate::link::DscpSet;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Instant;

/// How a layer fared.
#[derive(Clone, Debug, Default)]
pub struct LayerStatistics {
    /// Packets that arrived in time, each counted once.
    pub delivered: u64,
    /// Of these, packets that came only after they had been asked for.
    pub repaired: u64,
    /// Packets that never came, or too late.
    pub lost: u64,
    /// Packets that came after they had been given up; they are counted as lost.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets with this label that were not authentic.
    pub unauthentic: u64,
    /// Packets the reader had no room for.
    pub overrun: u64,
    /// NACKs sent.
    pub nacks: u64,
    /// Keyframes asked for.
    pub plis: u64,
    /// Marks seen, where the system tells them by packet.
    pub dscp: DscpSet,
    /// From capture to arrival, in microseconds; right only with synchronized clocks.
    pub latency: Latency,
    expected_before: u64,
    lost_before: u64,
}

impl LayerStatistics {
    /// Packets that should have arrived.
    pub fn expected(&self) -> u64 {
        self.delivered + self.lost
    }

    /// Packets that did not come by themselves.
    pub fn lost_before_repair(&self) -> u64 {
        self.repaired + self.lost
    }

    pub(super) fn note(&mut self, arrival: &Arrival, captured: Option<u64>) {
        self.delivered += 1;
        if let Some(dscp) = arrival.dscp {
            self.dscp.insert(dscp);
        }
        if let Some(captured) = captured {
            self.latency.record(micros_between(captured, arrival.ntp));
        }
    }

    /// Share lost since the last call, in 1/256 (RFC 3550 §6.4.1).
    pub(super) fn fraction_lost(&mut self) -> u8 {
        let all = self.expected();
        let expected = all - std::mem::replace(&mut self.expected_before, all);
        let lost = self.lost - std::mem::replace(&mut self.lost_before, self.lost);
        let fraction = (lost * 256).checked_div(expected).unwrap_or(0);
        u8::try_from(fraction).unwrap_or(u8::MAX)
    }
}

/// A histogram of microseconds.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// Longer latencies are counted as this.
const LATENCY_US_MAX: u64 = 60_000_000;

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3);
        Self(histogram.expect("the bounds are in order and the precision is at most 5"))
    }
}

/// The quantiles of a latency histogram, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencyReport {
    /// Half of all packets were at least as fast.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// All.
    pub max: u64,
}

impl Latency {
    fn record(&mut self, micros: u64) {
        self.0.saturating_record(micros);
    }

    /// Adds another layer's.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// `None` when nothing was recorded.
    pub fn report(&self) -> Option<LatencyReport> {
        let quantile = |quantile| self.0.value_at_quantile(quantile);
        let report =
            || LatencyReport { p50: quantile(0.5), p99: quantile(0.99), max: self.0.max() };
        (!self.0.is_empty()).then(report)
    }
}

/// Interarrival jitter (RFC 3550 §A.8), in ticks.
#[derive(Debug, Default)]
pub(super) struct Jitter {
    last: Option<(Instant, u32)>,
    sixteenths: u32,
}

impl Jitter {
    pub(super) fn note(&mut self, now: Instant, timestamp: u32, clock_hz: u32) {
        if let Some((at, before)) = self.last.replace((now, timestamp)) {
            let elapsed = now.saturating_duration_since(at).as_nanos() * u128::from(clock_hz);
            let elapsed = i64::try_from(elapsed / 1_000_000_000).unwrap_or(i64::MAX);
            let expected = i64::from(timestamp.wrapping_sub(before).cast_signed());
            let off = u32::try_from((elapsed - expected).unsigned_abs()).unwrap_or(u32::MAX >> 5);
            let decay = (self.sixteenths + 8) >> 4;
            self.sixteenths = (self.sixteenths - decay).saturating_add(off);
        }
    }

    pub(super) fn ticks(&self) -> u32 {
        self.sixteenths >> 4
    }
}
