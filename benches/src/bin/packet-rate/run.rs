//! The run: every shape, round after round, contenders in turn.

use crate::error::BenchError;
use crate::measure::{Meters, Stretch, lost, measure};
use crate::meter::CoreMeter;
use crate::results::Results;
use crate::rig::{Device, LOAD_CPU, ROUTER_CPU, Rig};
use crate::scene::{Contender, Scene, kind_name};
use crate::shape::{Look, Shape};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// One packet in so many is timed; a prime, so that every packet of a frame has its turn.
const SAMPLE_EVERY: u64 = 101;
/// Lost: less than this is the machine's hiccup, and still called loss-free.
const LOSS_FREE: f64 = 1e-4;
/// Factor between the first rates tried, and how often the interval found is then halved: 3 % are left.
const SEARCH_STEP: f64 = 1.6;
const SEARCH_HALVINGS: u32 = 4;
/// Part of the floor's loss-free rate that is asked for when it is too much.
const OVERLOAD: f64 = 1.5;

/// How thorough a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Load for a cost or a latency.
    pub(crate) stretch: Duration,
    /// Load for one rate of a search.
    pub(crate) trial: Duration,
}

/// What a run consists of.
pub(crate) struct Plan {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) effort: Effort,
}

/// Runs it all.
///
/// # Errors
/// The first part that failed; what was measured before is lost.
pub(crate) fn run(plan: &Plan) -> Result<Results, BenchError> {
    let mut results = Results::default();
    let steps = plan.shapes.len() * plan.contenders.len() * plan.effort.rounds;
    let progress = ProgressBar::new(steps as u64).with_style(style());
    for shape in &plan.shapes {
        let rig = Rig::new(shape.device, SAMPLE_EVERY)?;
        let meters = Meters {
            router: CoreMeter::start(ROUTER_CPU).map_err(no_meter)?,
            load: CoreMeter::start(LOAD_CPU).map_err(no_meter)?,
        };
        let mut floor_rate = None;
        for round in 0..plan.effort.rounds {
            for &contender in &plan.contenders {
                progress.set_message(format!("{} {}", shape.name, contender.name()));
                let notes =
                    &mut Notes { results: &mut results, shape: shape.name, contender, round };
                let turn = Turn { rig: &rig, meters: &meters, shape, effort: &plan.effort };
                turn.take(contender, &mut floor_rate, notes)?;
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    Ok(results)
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}, {eta} left");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Where a contender's figures go.
struct Notes<'r> {
    results: &'r mut Results,
    shape: &'static str,
    contender: Contender,
    round: usize,
}

impl Notes<'_> {
    fn note(&mut self, metric: &str, value: f64) {
        self.results.note(self.shape, self.contender.name(), self.round, metric, value);
    }

    #[allow(clippy::cast_precision_loss, reason = "nanoseconds below 2^52")]
    fn note_latency(&mut self, at: &str, latency: &Histogram<u64>) {
        for (quantile, name) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
            let value = latency.value_at_quantile(quantile) as f64 / 1e3;
            self.note(&format!("latency_{at}_{name}_us"), value);
        }
    }
}

/// One contender's turn at one shape.
struct Turn<'r> {
    rig: &'r Rig,
    meters: &'r Meters,
    shape: &'r Shape,
    effort: &'r Effort,
}

impl Turn<'_> {
    /// `floor_rate`: the plain floor's highest loss-free rate, once known.
    fn take(
        &self,
        contender: Contender,
        floor_rate: &mut Option<f64>,
        notes: &mut Notes<'_>,
    ) -> Result<(), BenchError> {
        let mut scene = Scene::new(self.rig, contender, self.shape)?;
        // The first packets find cold caches and unresolved neighbours.
        self.stretch(&mut scene, 1.0, Duration::from_millis(200))?;
        for look in self.shape.looks {
            match look {
                Look::Cost => self.cost(&mut scene, notes)?,
                Look::Limits => self.limits(&mut scene, contender, floor_rate, notes)?,
                Look::Overload => self.overload(&mut scene, contender, floor_rate, notes)?,
            }
        }
        note_router(&mut scene, notes)
    }

    fn stretch(
        &self,
        scene: &mut Scene,
        rate: f64,
        duration: Duration,
    ) -> Result<Stretch, BenchError> {
        measure(self.rig, self.meters, scene, self.shape, rate, duration)
    }

    fn cost(&self, scene: &mut Scene, notes: &mut Notes<'_>) -> Result<(), BenchError> {
        let stretch = self.stretch(scene, 1.0, self.effort.stretch)?;
        refuse_if_limited(&stretch, 1.0)?;
        notes.note("thread_ns", stretch.per_datagram_ns(stretch.thread));
        notes.note("core_ns", stretch.per_datagram_ns(stretch.core));
        notes.note("loss", stretch.loss());
        notes.note("load_busy", stretch.load_busy);
        note_stages(&stretch, notes);
        note_drops(&stretch, notes);
        let participants = f64::from(self.shape.participants());
        if self.shape.meetings > 1 {
            let core = stretch.core.as_secs_f64() / self.effort.stretch.as_secs_f64();
            notes.note("core_us_per_participant_s", core * 1e6 / participants);
            #[allow(clippy::cast_precision_loss, reason = "bytes below 2^52")]
            notes
                .note("memory_per_participant_kib", scene.memory() as f64 / 1_024.0 / participants);
        }
        Ok(())
    }

    fn limits(
        &self,
        scene: &mut Scene,
        contender: Contender,
        floor_rate: &mut Option<f64>,
        notes: &mut Notes<'_>,
    ) -> Result<(), BenchError> {
        let (rate, limited) = self.search(scene)?;
        notes.note("loss_free_dps", rate * self.datagrams_per_s(scene));
        notes.note("loss_free_is_the_loads", if limited { 1.0 } else { 0.0 });
        if contender == Contender::Floor {
            *floor_rate = Some(rate);
        }
        self.latency(scene, "half", rate * 0.5, notes)?;
        self.latency(scene, "most", rate * 0.9, notes)?;
        let Some(floor_rate) = *floor_rate else { return Ok(()) };
        self.latency(scene, "half_of_floor", floor_rate * 0.5, notes)
    }

    fn latency(
        &self,
        scene: &mut Scene,
        at: &str,
        rate: f64,
        notes: &mut Notes<'_>,
    ) -> Result<(), BenchError> {
        let stretch = self.stretch(scene, rate, self.effort.stretch)?;
        let mut latency = crate::stamp::histogram();
        for seen in &stretch.seen {
            latency.add(&seen.latency).map_err(|cause| BenchError::part("bench", cause))?;
        }
        notes.note_latency(at, &latency);
        notes.note(&format!("core_{at}_ns"), stretch.per_datagram_ns(stretch.core));
        notes.note(&format!("thread_{at}_ns"), stretch.per_datagram_ns(stretch.thread));
        notes.note(&format!("loss_{at}"), stretch.loss());
        Ok(())
    }

    fn overload(
        &self,
        scene: &mut Scene,
        contender: Contender,
        floor_rate: &mut Option<f64>,
        notes: &mut Notes<'_>,
    ) -> Result<(), BenchError> {
        if contender == Contender::Floor {
            *floor_rate = Some(self.search(scene)?.0);
        }
        let Some(rate) = *floor_rate else {
            return Err(BenchError::part(
                "overload",
                "it is measured against the floor: add --contender floor",
            ));
        };
        let stretch = self.stretch(scene, rate * OVERLOAD, self.effort.stretch * 2)?;
        refuse_if_limited(&stretch, rate * OVERLOAD)?;
        for (media, (delivered, expected)) in self.shape.media.iter().zip(&stretch.kinds) {
            notes.note(&format!("{}_loss", kind_name(media.kind)), lost(*delivered, *expected));
        }
        notes.note("core_ns", stretch.per_datagram_ns(stretch.core));
        note_drops(&stretch, notes);
        Ok(())
    }

    /// The highest rate without loss, and whether it was the load that could do no more.
    fn search(&self, scene: &mut Scene) -> Result<(f64, bool), BenchError> {
        let (mut good, mut bad) = (0.5, 0.5);
        let mut limited = false;
        let mut holds = |rate: f64| {
            let stretch = self.stretch(scene, rate, self.effort.trial)?;
            limited = stretch.load_limit.is_some();
            Ok::<_, BenchError>(stretch.loss() <= LOSS_FREE && !limited)
        };
        while holds(bad)? {
            good = bad;
            bad *= SEARCH_STEP;
        }
        for _ in 0..SEARCH_HALVINGS {
            let middle = (good * bad).sqrt();
            if holds(middle)? {
                good = middle;
            } else {
                bad = middle;
            }
        }
        Ok((good, limited))
    }

    fn datagrams_per_s(&self, scene: &Scene) -> f64 {
        scene.load.packets_per_s() * f64::from(self.shape.fan_out())
    }
}

/// A figure that is the load's is none.
fn refuse_if_limited(stretch: &Stretch, rate: f64) -> Result<(), BenchError> {
    match &stretch.load_limit {
        None => Ok(()),
        Some(why) => Err(BenchError::LoadWasTheLimit(format!("{why}, at rate {rate:.2}"))),
    }
}

/// Where the core's time went: user and system by the kernel's ticks, scaled to the thread's true time, and the rest.
#[allow(clippy::cast_precision_loss, reason = "ticks of seconds")]
fn note_stages(stretch: &Stretch, notes: &mut Notes<'_>) {
    let [user, system] = stretch.ticks.map(|ticks| ticks as f64);
    let thread = stretch.per_datagram_ns(stretch.thread);
    let share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
    notes.note("stage_own_code_ns", thread * share);
    notes.note("stage_kernel_calls_ns", thread * (1.0 - share));
    let rest = stretch.core.saturating_sub(stretch.thread);
    notes.note("stage_outside_thread_ns", stretch.per_datagram_ns(rest));
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn note_drops(stretch: &Stretch, notes: &mut Notes<'_>) {
    let drops = &stretch.drops;
    for (place, count) in [
        ("router_transmit", drops.router_transmit),
        ("router_receive", drops.router_receive),
        ("router_sockets", drops.router_sockets),
        ("load_transmit", drops.load_transmit),
    ] {
        notes.note(&format!("drops_{place}"), count as f64);
    }
}

/// What only a router can tell.
#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn note_router(scene: &mut Scene, notes: &mut Notes<'_>) -> Result<(), BenchError> {
    let Some(stats) = scene.stats()? else { return Ok(()) };
    let workers = stats.workers.len().max(1) as f64;
    let mean = |of: fn(&mmr::stats::WorkerStats) -> f64| {
        stats.workers.iter().map(of).sum::<f64>() / workers
    };
    notes.note("batch_packets", mean(|worker| worker.batch_packets.mean));
    notes.note("train_packets", mean(|worker| worker.train_packets.mean));
    for (reason, count) in stats.workers.iter().flat_map(|worker| &worker.drops) {
        notes.note(&format!("drops_router_{reason}"), *count as f64);
    }
    Ok(())
}

fn no_meter(cause: std::io::Error) -> BenchError {
    BenchError::Host(format!("a core can't be measured: {cause}"))
}

/// Which networks a run needs.
pub(crate) fn needs_root(shapes: &[Shape]) -> bool {
    shapes.iter().any(|shape| shape.device != Device::Loopback)
}
