//! One contender's turn at one shape: it starts, everybody joins, and it is looked at.

use super::Effort;
use super::notes::Notes;
use crate::error::BenchError;
use crate::interrupt;
use crate::measure::{Meters, Stretch, lost, measure};
use crate::meter;
use crate::rig::Rig;
use crate::scene::{Answer, Contender, Scene, kind_name};
use crate::shape::{Look, Shape};
use std::time::Duration;

/// Lost: less than this is the machine's hiccup, and still called loss-free.
const LOSS_FREE: f64 = 1e-4;
/// Factor between the first rates tried, and how often the interval found is then halved: 3 % are left.
const SEARCH_STEP: f64 = 1.6;
const SEARCH_HALVINGS: u32 = 4;
/// Part of a contender's loss-free rate that is asked for when it is too much.
const OVERLOAD: f64 = 1.5;
/// How often a stretch is tried again when the load was the limit. On a virtual machine the host takes a core away for
/// milliseconds now and then.
const ATTEMPTS: usize = 5;
/// How often one rate of a search is tried when it was not held.
const SEARCH_ATTEMPTS: usize = 2;
/// Half of all packets waiting longer than this is a queue that grows: its loss is only yet to come.
const WAIT_MAX: Duration = Duration::from_millis(5);
/// The program of mmr/bpf/express.c, as the kernel knows it.
const EXPRESS: &str = "express";
/// Workers tell their counts once a second.
const STATS_AGE_MAX: Duration = Duration::from_millis(1_100);

/// One contender's turn at one shape.
pub(super) struct Turn<'r> {
    pub(super) rig: &'r Rig,
    pub(super) meters: &'r Meters,
    pub(super) shape: &'r Shape,
    pub(super) effort: &'r Effort,
}

impl Turn<'_> {
    /// Whatever fails, figures noted before stay. `floor_rate`: the plain floor's highest loss-free rate, once known.
    ///
    /// # Errors
    /// A part failed, the load was the limit, or the run was interrupted.
    pub(super) fn take(
        &self,
        contender: Contender,
        floor_rate: &mut Option<f64>,
        notes: &mut Notes<'_>,
    ) -> Result<(), BenchError> {
        let rest = if self.shape.looks.contains(&Look::Cost) { self.rest() } else { 0.0 };
        let mut scene = Scene::new(self.rig, contender, self.shape)?;
        // The first packets find cold caches and unresolved neighbours.
        self.stretch(&mut scene, 1.0, Duration::from_millis(200))?;
        for look in self.shape.looks {
            match look {
                Look::Cost => self.cost(&mut scene, rest, notes)?,
                Look::Limits => self.limits(&mut scene, contender, floor_rate, notes)?,
                Look::Overload => self.overload(&mut scene, notes)?,
            }
        }
        Ok(())
    }

    /// What part of the core is somebody else's: the host's, its ticks and its threads, while no contender is there.
    fn rest(&self) -> f64 {
        let before = self.meters.router.read();
        std::thread::sleep(self.effort.stretch * 2);
        self.meters.router.typical_share(&before, &self.meters.router.read())
    }

    fn stretch(
        &self,
        scene: &mut Scene,
        rate: f64,
        duration: Duration,
    ) -> Result<Stretch, BenchError> {
        let stretch = measure(self.rig, self.meters, scene, self.shape, rate, duration)?;
        if interrupt::is_asked() { Err(BenchError::Interrupted) } else { Ok(stretch) }
    }

    /// A stretch in which the load was not the limit.
    fn fair_stretch(
        &self,
        scene: &mut Scene,
        rate: f64,
        duration: Duration,
    ) -> Result<Stretch, BenchError> {
        let mut why = String::new();
        for _ in 0..ATTEMPTS {
            let stretch = self.stretch(scene, rate, duration)?;
            match &stretch.load_limit {
                Some(limit) if self.effort.strict => why.clone_from(limit),
                _ => return Ok(stretch),
            }
        }
        // A figure that is the load's is none.
        let why = format!("{why}, at rate {rate:.2}, {ATTEMPTS} times in a row");
        Err(BenchError::LoadWasTheLimit(why))
    }

    fn cost(&self, scene: &mut Scene, rest: f64, notes: &mut Notes<'_>) -> Result<(), BenchError> {
        let before = scene.ask()?;
        let stretch = self.fair_stretch(scene, 1.0, self.effort.cost)?;
        notes.note("thread_ns", stretch.per_datagram_ns(stretch.thread));
        notes.note("core_ns", stretch.per_datagram_ns(stretch.core));
        notes.note("core_added_ns", stretch.per_datagram_ns(stretch.core_added(rest)));
        notes.note("core_rest", rest);
        notes.note("loss", stretch.loss());
        notes.note("load_busy", stretch.load_busy);
        notes.note_drops(&stretch);
        let after = self.ask_settled(scene)?;
        let moments = before.as_ref().zip(after.as_ref());
        let is_express = notes.contender == Contender::Express;
        if self.shape.workers == 1 {
            // What the kernel sends is not in a worker's stages.
            notes.note_stages(&stretch, moments.filter(|_| !is_express));
        }
        if let Some((before, after)) = moments {
            #[allow(clippy::cast_precision_loss, reason = "a count near zero")]
            notes
                .note("allocations", (after.worker_allocations - before.worker_allocations) as f64);
            notes.note_router(after);
        }
        if is_express {
            self.program(scene, notes)?;
        }
        let participants = f64::from(self.shape.participants());
        if self.shape.meetings > 1 {
            let core = stretch.core.as_secs_f64() / self.effort.cost.as_secs_f64();
            notes.note("core_us_per_participant_s", core * 1e6 / participants);
            #[allow(clippy::cast_precision_loss, reason = "bytes below 2^52")]
            notes
                .note("memory_per_participant_kib", scene.memory() as f64 / 1_024.0 / participants);
        }
        Ok(())
    }

    /// What of the core's time is the express program's own, in a stretch of its own: counting it costs two looks at
    /// the clock a train.
    fn program(&self, scene: &mut Scene, notes: &mut Notes<'_>) -> Result<(), BenchError> {
        let _counting = meter::count_program_time()?;
        let before = meter::program_time(EXPRESS);
        let stretch = self.fair_stretch(scene, 1.0, self.effort.stretch * 2)?;
        let took = meter::program_time(EXPRESS).saturating_sub(before);
        notes.note("program_ns", stretch.per_datagram_ns(took));
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
        let stretch = self.fair_stretch(scene, rate, self.effort.stretch)?;
        notes.note_latency(at, &stretch.latency());
        notes.note(&format!("core_{at}_ns"), stretch.per_datagram_ns(stretch.core));
        notes.note(&format!("thread_{at}_ns"), stretch.per_datagram_ns(stretch.thread));
        notes.note(&format!("loss_{at}"), stretch.loss());
        Ok(())
    }

    fn overload(&self, scene: &mut Scene, notes: &mut Notes<'_>) -> Result<(), BenchError> {
        let (rate, _) = self.search(scene)?;
        notes.note("loss_free_dps", rate * self.datagrams_per_s(scene));
        let stretch = self.fair_stretch(scene, rate * OVERLOAD, self.effort.stretch * 2)?;
        for (media, (delivered, expected)) in self.shape.media.iter().zip(&stretch.kinds) {
            notes.note(&format!("{}_loss", kind_name(media.kind)), lost(*delivered, *expected));
        }
        notes.note("core_ns", stretch.per_datagram_ns(stretch.core));
        notes.note_drops(&stretch);
        if let Some(answer) = self.ask_settled(scene)? {
            notes.note_router(&answer);
        }
        Ok(())
    }

    /// A router's counts, once they are up to date.
    fn ask_settled(&self, scene: &mut Scene) -> Result<Option<Answer>, BenchError> {
        if scene.is_router() {
            std::thread::sleep(STATS_AGE_MAX);
        }
        scene.ask()
    }

    /// The highest rate without loss, and whether it was the load that could do no more.
    fn search(&self, scene: &mut Scene) -> Result<(f64, bool), BenchError> {
        let (mut good, mut bad) = (0.5, 0.5);
        // Of the last rate that was not held.
        let mut limited = false;
        let mut holds = |rate: f64| {
            let mut failures = 0;
            for _ in 0..ATTEMPTS {
                let stretch = self.stretch(scene, rate, self.effort.trial)?;
                limited = stretch.load_limit.is_some();
                if limited {
                    continue;
                }
                if stretch.loss() <= LOSS_FREE && stretch.median_latency() <= WAIT_MAX {
                    return Ok(true);
                }
                failures += 1;
                if failures == SEARCH_ATTEMPTS {
                    break;
                }
            }
            Ok::<_, BenchError>(false)
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
