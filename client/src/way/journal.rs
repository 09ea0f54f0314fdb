//! What one participant does on its way in is written down here, for [`WayReport`].

use super::report::{KindWay, Phase, PhaseReport, StepSink, TraceStep, Way, WayReport};
use crate::limits::STEPS_MAX;
use crate::link::{Attempt, ProbeStep, step};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::{Kind, Transport};

/// Clones write into the same one.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Inner>);

struct Inner {
    started: Instant,
    told: StepSink,
    report: Mutex<WayReport>,
}

/// Where a step belongs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) phase: Phase,
    pub(crate) way: Way,
    pub(crate) kind: Option<Kind>,
    pub(crate) transport: Option<Transport>,
    pub(crate) target: String,
}

impl Place {
    pub(crate) fn new(phase: Phase, way: Way, target: impl ToString) -> Self {
        Self { phase, way, kind: None, transport: None, target: target.to_string() }
    }
}

impl Journal {
    pub(crate) fn new(told: StepSink) -> Self {
        Self(Arc::new(Inner { started: Instant::now(), told, report: Mutex::default() }))
    }

    /// Does something under a deadline, and writes down what came of it.
    pub(crate) async fn step<T>(
        &self,
        place: &Place,
        name: &'static str,
        patience: Duration,
        work: impl Future<Output = io::Result<T>>,
        describe: impl FnOnce(&T) -> String,
    ) -> io::Result<T> {
        step(name, patience, &mut |done| self.note(place, done), work, describe).await
    }

    /// A step that has just ended.
    pub(crate) fn note(&self, place: &Place, step: ProbeStep) {
        self.note_at(place, self.now().saturating_sub(step.took), step);
    }

    fn note_at(&self, place: &Place, at: Duration, step: ProbeStep) {
        let Place { phase, way, kind, transport, target } = place.clone();
        let step = TraceStep {
            phase,
            way,
            kind,
            transport,
            target,
            step: step.name,
            at_us: micros(at),
            took_us: micros(step.took),
            detail: step.outcome.as_ref().ok().filter(|detail| !detail.is_empty()).cloned(),
            error: step.outcome.err(),
        };
        self.0.told.tell(&step);
        let mut report = self.lock();
        // Participants that move for days have steps without end.
        if report.steps.len() < STEPS_MAX {
            report.steps.push(step);
        }
    }

    /// A phase that has just ended. Of those gone through again, after a move, the first one counts.
    pub(crate) fn end_phase(&self, phase: Phase, way: Way, began: Instant) {
        let at = began.saturating_duration_since(self.0.started);
        let mut report = self.lock();
        if report.phase(phase).is_none() {
            let took_us = micros(began.elapsed());
            report.phases.push(PhaseReport { phase, way, at_us: micros(at), took_us });
        }
    }

    /// What was tried for one link, one transport after the other.
    pub(crate) fn note_attempts(
        &self,
        kind: Kind,
        attempts: &[Attempt],
        began: Instant,
        way_to: impl Fn(&SocketAddr) -> Way,
    ) {
        let mut at = began.saturating_duration_since(self.0.started);
        for same in attempts.chunk_by(|one, next| one.transport == next.transport) {
            for attempt in same {
                let way = way_to(&attempt.address);
                let place = Place {
                    kind: Some(kind),
                    transport: Some(attempt.transport),
                    ..Place::new(Phase::Media, way, attempt.address)
                };
                let took = Duration::from_micros(attempt.took_us);
                let outcome = attempt.error.clone().map_or_else(|| Ok(String::new()), Err);
                self.note_at(&place, at, ProbeStep { name: "bind", took, outcome });
                if attempt.error.is_none() {
                    self.note_kind(kind, attempt.transport, way, began);
                }
            }
            at += same.iter().map(|it| Duration::from_micros(it.took_us)).max().unwrap_or_default();
        }
    }

    fn note_kind(&self, kind: Kind, transport: Transport, way: Way, began: Instant) {
        let mut report = self.lock();
        if report.media.iter().all(|media| media.kind != kind) {
            let took_us = micros(began.elapsed());
            report.media.push(KindWay { kind, transport, way, took_us });
        }
    }

    /// What was learned that is no step.
    pub(crate) fn learn(&self, learn: impl FnOnce(&mut WayReport)) {
        learn(&mut self.lock());
    }

    pub(crate) fn report(&self) -> WayReport {
        self.lock().clone()
    }

    fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, WayReport> {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
