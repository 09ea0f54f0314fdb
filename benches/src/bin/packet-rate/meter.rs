//! CPU time, precisely: of one thread, and of a whole core.
//!
//! A thread's own time comes from the scheduler, in nanoseconds. That clock knows nothing of softirqs that ran while
//! another thread, or none, was on the core, and /proc/stat samples them by ticks, far too coarse. So a whole core is
//! measured by what is left of it: a thread of the idle class on that core looks at the clock without pause, some tens
//! of nanoseconds from one look to the next. Where it is longer, the core was with somebody else in between: a thread,
//! an interrupt, a softirq, or the host. Nothing is calibrated, so nothing drifts.
//!
//! The core never sleeps meanwhile: waking up is not in anybody's figures.
//!
//! What others do there, the host and its threads, comes in bursts. So the meter also keeps what each tenth of a second
//! was like: half of them were calmer than the typical one, whatever a burst took.

use crate::error::BenchError;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks at the clock when nobody came between: measured 25 to 60 ns. The shortest interrupt takes far
/// longer than this.
const UNDISTURBED_MAX: Duration = Duration::from_nanos(250);
/// Many frames of every shape, and short beside the host's bursts, which are some a second.
const WINDOW: Duration = Duration::from_millis(100);

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

/// Lets the kernel count the time of its BPF programs as long as the descriptor is kept.
///
/// # Errors
/// The kernel does not.
pub(crate) fn count_program_time() -> Result<OwnedFd, BenchError> {
    let stats = aya::sys::enable_stats(aya::sys::Stats::RunTime);
    stats.map_err(|cause| BenchError::Host(format!("programs' time is not counted: {cause}")))
}

/// The time all programs of this name had since counting was allowed.
pub(crate) fn program_time(name: &str) -> Duration {
    let programs = aya::programs::loaded_programs().flatten();
    programs.filter(|it| it.name_as_str() == Some(name)).map(|it| it.run_time()).sum()
}

/// Measures a whole core; stops when dropped.
pub(crate) struct CoreMeter {
    idle: Arc<Idle>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What was left of the core so far.
#[derive(Default)]
struct Idle {
    ns: AtomicU64,
    /// The busy part of each window there was, 0 to 1.
    windows: Mutex<Vec<f64>>,
}

/// A moment of a [`CoreMeter`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    idle: Duration,
    at: Instant,
    /// Windows before it.
    windows: usize,
}

impl CoreMeter {
    /// Starts measuring a core.
    ///
    /// # Errors
    /// The core is not ours, or the kernel knows no idle class.
    pub(crate) fn start(cpu: usize) -> io::Result<Self> {
        let (idle, stop) = (Arc::new(Idle::default()), Arc::new(AtomicBool::new(false)));
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = {
            let (idle, stop) = (idle.clone(), stop.clone());
            thread::spawn(move || {
                let set_up = idle_on(cpu);
                let failed = set_up.is_err();
                let _ = ready.send(set_up);
                if !failed {
                    idle.watch(&stop);
                }
            })
        };
        started.recv().map_err(io::Error::other)??;
        Ok(Self { idle, stop, thread: Some(thread) })
    }

    /// Now.
    pub(crate) fn read(&self) -> Reading {
        let windows = self.idle.windows.lock().unwrap_or_else(PoisonError::into_inner).len();
        let idle = Duration::from_nanos(self.idle.ns.load(Ordering::Relaxed));
        Reading { idle, at: Instant::now(), windows }
    }

    /// What part of the core was busy in a typical tenth of a second between two moments: the median. 0 if there was
    /// hardly one.
    pub(crate) fn typical_share(&self, from: &Reading, to: &Reading) -> f64 {
        let windows = self.idle.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // The first one began before.
        let mut shares: Vec<f64> =
            windows[from.windows..to.windows].iter().skip(1).copied().collect();
        shares.sort_by(f64::total_cmp);
        shares.get(shares.len() / 2).copied().unwrap_or(0.0)
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

impl Reading {
    /// How long ago an earlier moment was.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        self.at - earlier.at
    }

    /// How long the core was busy since an earlier moment.
    pub(crate) fn busy_since(&self, earlier: &Self) -> Duration {
        self.since(earlier).saturating_sub(self.idle.saturating_sub(earlier.idle))
    }

    /// What part of the core was busy since an earlier moment, 0 to 1.
    pub(crate) fn share_since(&self, earlier: &Self) -> f64 {
        self.busy_since(earlier).as_secs_f64() / self.since(earlier).as_secs_f64()
    }
}

impl Idle {
    fn watch(&self, stop: &AtomicBool) {
        let (mut idle, mut last) = (Duration::ZERO, Instant::now());
        let (mut idle_before, mut window) = (idle, last);
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let since = now - last;
            last = now;
            if since <= UNDISTURBED_MAX {
                idle += since;
                let ns = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
                self.ns.store(ns, Ordering::Relaxed);
            }
            if now - window >= WINDOW {
                let share = 1.0 - (idle - idle_before).as_secs_f64() / (now - window).as_secs_f64();
                self.windows.lock().unwrap_or_else(PoisonError::into_inner).push(share);
                (idle_before, window) = (idle, now);
            }
        }
    }
}

/// Puts the calling thread on a core, behind everybody else.
fn idle_on(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    schedule(0, libc::SCHED_IDLE, 0)
}

/// Puts a thread before every ordinary one on its core, and before those put there with a lower `priority`; thread 0
/// is the calling one.
///
/// # Errors
/// Not root, or no such thread.
pub(crate) fn schedule_first(tid: i32, priority: i32) -> io::Result<()> {
    schedule(tid, libc::SCHED_FIFO, priority)
}

fn schedule(tid: i32, policy: i32, sched_priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: the kernel reads one sched_param, which lives until the call returns.
    match unsafe { libc::sched_setscheduler(tid, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_when_a_thread_works_on_it() {
        let meter = CoreMeter::start(0).expect("core 0 is everybody's");
        let before = meter.read();
        let own = thread::spawn(|| {
            let mut set = CpuSet::new();
            set.set(0).expect("core 0 is in the set");
            sched_setaffinity(Pid::from_raw(0), &set).expect("core 0 is everybody's");
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(100) {}
            let tid = nix::unistd::gettid().as_raw().unsigned_abs();
            thread_time(std::process::id(), tid).expect("this thread is here")
        });
        let own = own.join().expect("it only waits");
        let busy = meter.read().busy_since(&before);
        assert!(busy >= own.mul_f64(0.95), "{busy:?}, of which {own:?} are one thread's");
    }
}
