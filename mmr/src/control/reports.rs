//! The workers' reports: asked for once a second, the newest and the one before it kept.

use super::dispatch::Dispatch;
use super::snapshot::WorkerCounts;
use crate::exchange::WorkerOrder;
use crate::report::WorkerReport;
use router::WorkerId;
use std::time::{Duration, Instant};

/// The reports of all workers.
pub(super) struct Reports {
    workers: Vec<Kept>,
}

/// Three reports go round a worker: the newest, the one before, and the one it fills.
struct Kept {
    newest: Box<WorkerReport>,
    newest_at: Instant,
    before: Box<WorkerReport>,
    before_at: Instant,
    /// `None` while the worker has it.
    spare: Option<Box<WorkerReport>>,
}

impl Reports {
    pub(super) fn new(workers: usize, now: Instant) -> Self {
        let empty = |index: usize| {
            let worker = WorkerId(u8::try_from(index).unwrap_or(u8::MAX));
            let report = || Box::new(WorkerReport::new(worker));
            Kept {
                newest: report(),
                newest_at: now,
                before: report(),
                before_at: now,
                spare: Some(report()),
            }
        };
        Self { workers: (0..workers).map(empty).collect() }
    }

    /// Asks every worker that has answered the last time.
    pub(super) fn ask(&mut self, dispatch: &mut Dispatch) {
        for (index, kept) in self.workers.iter_mut().enumerate() {
            if let Some(report) = kept.spare.take() {
                dispatch.order_one(index, WorkerOrder::Report(report));
            }
        }
    }

    /// Takes a worker's answer.
    pub(super) fn take(&mut self, report: Box<WorkerReport>, now: Instant) {
        let kept = &mut self.workers[usize::from(report.worker.0)];
        let before = std::mem::replace(&mut kept.newest, report);
        kept.spare = Some(std::mem::replace(&mut kept.before, before));
        kept.before_at = std::mem::replace(&mut kept.newest_at, now);
    }

    /// The counts of every worker.
    pub(super) fn counts(&self, heartbeat_ages: &[Duration]) -> Vec<WorkerCounts> {
        let workers = self.workers.iter().zip(heartbeat_ages);
        workers.map(|(kept, age)| kept.counts(*age)).collect()
    }
}

impl Kept {
    fn counts(&self, heartbeat_age: Duration) -> WorkerCounts {
        let interval = self.newest_at.saturating_duration_since(self.before_at);
        let busy = Duration::from_nanos(self.newest.busy_ns.saturating_sub(self.before.busy_ns));
        let mut latency_recent_us = self.newest.latency_us.clone();
        // Fails only when a count would go below zero, and counts never shrink.
        let _ = latency_recent_us.subtract(&self.before.latency_us);
        WorkerCounts {
            report: (*self.newest).clone(),
            taken_at: self.newest_at,
            busy: share(busy, interval),
            latency_recent_us,
            heartbeat_age,
        }
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    (part.as_secs_f64() / whole.as_secs_f64()).clamp(0.0, 1.0)
}
