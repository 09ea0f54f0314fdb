//! The run: every shape, round after round, contenders in turn.

mod notes;
mod turn;

use crate::error::BenchError;
use crate::interrupt;
use crate::measure::Meters;
use crate::meter::CoreMeter;
use crate::results::{Refusal, Results};
use crate::rig::{Device, LOAD_CPU, ROUTER_CPU, Rig};
use crate::scene::Contender;
use crate::shape::Shape;
use indicatif::{ProgressBar, ProgressStyle};
use notes::Notes;
use std::time::Duration;
use turn::Turn;

/// One packet in so many is timed; a prime, so that every packet of a frame has its turn.
const SAMPLE_EVERY: u64 = 101;

/// How thorough a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Load for a cost: at a real meeting's rate the core is nearly idle, and a second of it is some tens of milliseconds
    /// of work, few enough for a hiccup of the host to show.
    pub(crate) cost: Duration,
    /// Load for a latency.
    pub(crate) stretch: Duration,
    /// Load for one rate of a search.
    pub(crate) trial: Duration,
    /// Whether figures are wanted, not only a look whether everything works: refuses those that are the load's.
    pub(crate) strict: bool,
}

/// What a run consists of.
pub(crate) struct Plan {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) effort: Effort,
}

impl Plan {
    /// Who has a turn at a shape, in this order.
    pub(crate) fn contenders(&self, shape: &Shape) -> impl Iterator<Item = Contender> {
        let has_floors = shape.has_floors;
        // Loopback has no next hop.
        let has_express = shape.device != Device::Loopback;
        let contenders = self.contenders.iter().copied();
        contenders
            .filter(move |contender| has_floors || contender.is_router())
            .filter(move |contender| has_express || *contender != Contender::Express)
    }

    fn rounds(&self, shape: &Shape) -> usize {
        self.effort.rounds.min(shape.rounds_max)
    }

    fn turns(&self) -> usize {
        self.shapes.iter().map(|shape| self.contenders(shape).count() * self.rounds(shape)).sum()
    }
}

/// Runs it all, or, once interrupted, what there is time for. A turn that fails is told among the refusals.
///
/// # Errors
/// This host can't be measured on.
pub(crate) fn run(plan: &Plan) -> Result<Results, BenchError> {
    let mut results = Results::default();
    let progress = ProgressBar::new(plan.turns() as u64).with_style(style());
    for group in plan.shapes.chunk_by(|one, next| one.group == next.group) {
        if interrupt::is_asked() {
            break;
        }
        run_group(plan, group, &progress, &mut results)?;
    }
    progress.finish_and_clear();
    Ok(results)
}

fn run_group(
    plan: &Plan,
    group: &[Shape],
    progress: &ProgressBar,
    results: &mut Results,
) -> Result<(), BenchError> {
    let rig = Rig::new(group[0].device, SAMPLE_EVERY)?;
    let meters = Meters {
        router: CoreMeter::start(ROUTER_CPU).map_err(no_meter)?,
        load: CoreMeter::start(LOAD_CPU).map_err(no_meter)?,
    };
    let mut floor_rate = None;
    let rounds = group.iter().map(|shape| plan.rounds(shape)).max().unwrap_or(0);
    let turns = (0..rounds).flat_map(|round| {
        let shapes = group.iter().filter(move |shape| round < plan.rounds(shape));
        shapes.flat_map(move |shape| plan.contenders(shape).map(move |it| (round, shape, it)))
    });
    for (round, shape, contender) in turns {
        progress.set_message(format!("{} {}", shape.name, contender.name()));
        if progress.is_hidden() {
            // No terminal: a line for each turn.
            let (number, all) = (progress.position() + 1, plan.turns());
            eprintln!("{number}/{all}  {} {}", shape.name, contender.name());
        }
        let turn = Turn { rig: &rig, meters: &meters, shape, effort: &plan.effort };
        let notes = &mut Notes { results, shape: shape.name, contender, round };
        let outcome = turn.take(contender, &mut floor_rate, notes);
        if interrupt::is_asked() {
            break;
        }
        if let Err(error) = outcome {
            let (shape, contender, why) = (shape.name, contender.name(), error.to_string());
            results.refusals.push(Refusal { shape, contender, round, why });
        }
        progress.inc(1);
    }
    Ok(())
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}, {eta} left");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn no_meter(cause: std::io::Error) -> BenchError {
    BenchError::Host(format!("a core can't be measured: {cause}"))
}
