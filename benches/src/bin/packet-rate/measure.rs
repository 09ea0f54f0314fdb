//! One stretch of load through one contender, and everything that is known of it.

use crate::error::BenchError;
use crate::meter::CoreMeter;
use crate::rig::{Device, DeviceDrops, LOAD_CPU, Rig};
use crate::scene::Scene;
use crate::shape::Shape;
use crate::sink::Seen;
use crate::stamp;
use hdrhistogram::Histogram;
use std::time::Duration;

/// What is under way when the load stops is delivered by then.
const DRAIN: Duration = Duration::from_millis(150);

/// What happened during one stretch.
pub(crate) struct Stretch {
    /// Datagrams delivered.
    pub(crate) delivered: u64,
    /// Datagrams that should have been.
    pub(crate) expected: u64,
    /// By kind of the shape: delivered and expected.
    pub(crate) kinds: Vec<(u64, u64)>,
    /// The forwarding threads' time.
    pub(crate) thread: Duration,
    /// The router's core, busy with anything at all.
    pub(crate) core: Duration,
    /// The busy part of it in a typical tenth of a second under load.
    pub(crate) core_typical: f64,
    /// How long there was load.
    pub(crate) lasted: Duration,
    /// Sampled, all kinds, by kind of the shape.
    pub(crate) seen: Vec<Seen>,
    /// What was lost where.
    pub(crate) drops: DeviceDrops,
    /// The load's core was so busy, 0 to 1.
    pub(crate) load_busy: f64,
    /// Why figures would be the load's.
    pub(crate) load_limit: Option<String>,
}

impl Stretch {
    /// Part of the datagrams that the contender did not send, or did not hear. What its end of the wire had to drop
    /// because the counter at the other end was held up is not among them: a card's ring is longer than veth's 256
    /// packets, and no host takes its core away for milliseconds.
    pub(crate) fn loss(&self) -> f64 {
        lost(self.delivered + self.drops.router_transmit, self.expected)
    }

    /// Of all kinds, in nanoseconds.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        let mut all = stamp::histogram();
        for seen in &self.seen {
            all.add(&seen.latency).expect("all have the same range");
        }
        all
    }

    /// Half of the datagrams were there sooner.
    pub(crate) fn median_latency(&self) -> Duration {
        Duration::from_nanos(self.latency().value_at_quantile(0.5))
    }

    /// What the core was busier than at rest, when part `rest` of it was: with the contender and nobody else.
    pub(crate) fn core_added(&self, rest: f64) -> Duration {
        self.lasted.mul_f64((self.core_typical - rest).max(0.0))
    }

    /// Time per delivered datagram, in nanoseconds.
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn per_datagram_ns(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e9 / self.delivered.max(1) as f64
    }
}

/// Part of what was expected that did not arrive.
#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn lost(delivered: u64, expected: u64) -> f64 {
    1.0 - delivered.min(expected) as f64 / expected.max(1) as f64
}

/// A core with less than the rest left to idle is full, give or take what the meter misses.
const CORE_BUSY_MAX: f64 = 0.98;

/// Why the wire or its far end was the limit, if it was.
fn wire_limit(dropped: u64, expected: u64, most: f64, busy: f64) -> Option<String> {
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let share = dropped as f64 / expected.max(1) as f64;
    if share > most {
        return Some(format!("the wire's counter missed {:.1} % of the datagrams", 100.0 * share));
    }
    (busy > CORE_BUSY_MAX).then(|| format!("load and counter kept core {LOAD_CPU} busy"))
}

/// The meters of both cores.
pub(crate) struct Meters {
    pub(crate) router: CoreMeter,
    pub(crate) load: CoreMeter,
}

/// A moment: counts that only grow.
struct Moment {
    total: Option<u64>,
    kinds: Vec<u64>,
    thread: Duration,
    drops: DeviceDrops,
}

/// Sends at `rate` for `duration`.
///
/// # Errors
/// A part died.
pub(crate) fn measure(
    rig: &Rig,
    meters: &Meters,
    scene: &mut Scene,
    shape: &Shape,
    rate: f64,
    duration: Duration,
) -> Result<Stretch, BenchError> {
    let before = Moment::of(rig, scene)?;
    drop(scene.sink.take());
    let (router, load) = (meters.router.read(), meters.load.read());
    let report = rig.at_load(|| scene.load.run(rate, duration));
    let load_busy = meters.load.read().share_since(&load);
    let loaded = meters.router.read();
    std::thread::sleep(DRAIN);
    let core = meters.router.read().busy_since(&router);
    let after = Moment::of(rig, scene)?;
    let seen = scene.sink.take();
    let expected = report.packets * u64::from(shape.fan_out());
    let heard = seen.iter().map(|seen| seen.packets);
    let delivered = match (before.total, after.total) {
        (Some(before), Some(after)) => after - before,
        _ => heard.clone().sum(),
    };
    let by_kind: Vec<u64> = match after.total {
        Some(_) => {
            after.kinds.iter().zip(&before.kinds).map(|(after, before)| after - before).collect()
        }
        None => heard.collect(),
    };
    let mut drops = after.drops.since(&before.drops);
    if shape.device == Device::Whole && scene.sends_trains() {
        // The device counts a train it drops as one.
        drops.router_transmit *= u64::from(shape.media[0].frame_packets);
    }
    let wire_limit = wire_limit(drops.router_transmit, expected, shape.wire_loss_max, load_busy);
    let kinds = by_kind.into_iter().zip(shares(shape, expected)).collect();
    Ok(Stretch {
        delivered,
        expected,
        kinds,
        thread: after.thread.saturating_sub(before.thread),
        core,
        core_typical: meters.router.typical_share(&router, &loaded),
        lasted: loaded.since(&router),
        seen,
        drops,
        load_busy,
        load_limit: report.limit().or(wire_limit),
    })
}

/// What of all datagrams belongs to each kind, by the rates they are sent at.
fn shares(shape: &Shape, expected: u64) -> Vec<u64> {
    let rates = shape.media.iter().map(|media| {
        f64::from(media.publishers) * media.frames_per_s * f64::from(media.frame_packets)
    });
    let sum: f64 = rates.clone().sum();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a count below 2^52"
    )]
    rates.map(|rate| (expected as f64 * rate / sum).round() as u64).collect()
}

impl Moment {
    fn of(rig: &Rig, scene: &Scene) -> Result<Self, BenchError> {
        let mut kinds = Vec::new();
        if scene.ports.len() > 1 {
            for ports in &scene.ports {
                let mut packets = 0;
                for port in ports {
                    packets += rig.port(*port)?.unwrap_or_default().packets;
                }
                kinds.push(packets);
            }
        }
        let total = rig.counts()?.map(|counts| counts.total().packets);
        if let (Some(total), true) = (total, kinds.is_empty()) {
            kinds.push(total);
        }
        Ok(Self { total, kinds, thread: scene.thread_time()?, drops: rig.drops()? })
    }
}
