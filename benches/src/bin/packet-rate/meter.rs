//! CPU time, precisely: of one thread, and of a whole core.
//!
//! A thread's own time comes from the scheduler, in nanoseconds. That clock does not know softirqs that ran while the
//! core was otherwise idle, and /proc/stat samples them by ticks, far too coarse. So a whole core is measured by what
//! is left of it: a thread of the idle class counts units of fixed work on that core, and what it can't do against an
//! idle core was somebody else's time, in whatever context.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Rounds of one unit of work: below a microsecond.
const UNIT: u64 = 256;
/// Windows an idle core is looked at in; the best one counts, as others' work only ever takes away.
const CALIBRATION_WINDOWS: u32 = 10;
const CALIBRATION_WINDOW: Duration = Duration::from_millis(20);

/// A thread's time on a core so far: user, system, and softirqs that ran on its back.
///
/// # Errors
/// There is no such thread.
pub(crate) fn thread_time(pid: u32, tid: u32) -> io::Result<Duration> {
    // Documentation/scheduler/sched-stats.rst: the first number is time spent on the CPU, in ns.
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat"))?;
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other("schedstat is no number"))
}

/// The threads of a process whose name begins like this.
///
/// # Errors
/// There is no such process.
pub(crate) fn threads(pid: u32, name: &str) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if comm.starts_with(name) {
            found.extend(task.file_name().to_str().and_then(|tid| tid.parse::<u32>().ok()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Measures a whole core; stops when dropped.
pub(crate) struct CoreMeter {
    units: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Units an idle core does in a second.
    idle_rate: f64,
}

/// A moment of a [`CoreMeter`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    units: u64,
    at: Instant,
}

impl CoreMeter {
    /// Starts on an idle core, and calibrates: takes about a quarter of a second.
    ///
    /// # Errors
    /// The core is not ours, or the kernel knows no idle class.
    pub(crate) fn start(cpu: usize) -> io::Result<Self> {
        let units = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = {
            let (units, stop) = (units.clone(), stop.clone());
            thread::spawn(move || {
                let set_up = idle_on(cpu);
                let failed = set_up.is_err();
                let _ = ready.send(set_up);
                if !failed {
                    work(&units, &stop);
                }
            })
        };
        started.recv().map_err(io::Error::other)??;
        let mut meter = Self { units, stop, thread: Some(thread), idle_rate: 0.0 };
        meter.calibrate();
        Ok(meter)
    }

    /// Looks again at what the core does when it is idle, which it must be now.
    pub(crate) fn calibrate(&mut self) {
        let window = |_| {
            let (before, began) = (self.read(), Instant::now());
            thread::sleep(CALIBRATION_WINDOW);
            rate(before.units, self.read().units, began.elapsed())
        };
        self.idle_rate = (0..CALIBRATION_WINDOWS).map(window).fold(0.0, f64::max);
    }

    /// Now.
    pub(crate) fn read(&self) -> Reading {
        Reading { units: self.units.load(Ordering::Relaxed), at: Instant::now() }
    }

    /// What part of the core was busy between two moments, 0 to 1.
    pub(crate) fn busy(&self, from: Reading, to: Reading) -> f64 {
        let left = rate(from.units, to.units, to.at - from.at) / self.idle_rate;
        (1.0 - left).clamp(0.0, 1.0)
    }
}

impl Drop for CoreMeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn rate(from: u64, to: u64, elapsed: Duration) -> f64 {
    (to - from) as f64 / elapsed.as_secs_f64()
}

fn work(units: &AtomicU64, stop: &AtomicBool) {
    let mut done = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut value = black_box(done);
        for round in 0..UNIT {
            value = black_box(value.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round);
        }
        done += 1;
        units.store(done, Ordering::Relaxed);
    }
}

/// Puts the calling thread on a core, behind everybody else.
fn idle_on(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    schedule(0, libc::SCHED_IDLE, 0)
}

/// Puts a thread before every ordinary one on its core.
///
/// # Errors
/// Not root, or no such thread.
pub(crate) fn schedule_first(pid: i32) -> io::Result<()> {
    schedule(pid, libc::SCHED_FIFO, 1)
}

fn schedule(pid: i32, policy: i32, sched_priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: the kernel reads one sched_param, which lives until the call returns.
    match unsafe { libc::sched_setscheduler(pid, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
