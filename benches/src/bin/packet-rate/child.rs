//! Contenders as processes of their own: this program again, told what to do on its standard input. A child ends when
//! its standard input does, and so never outlives the bench.

use crate::allocations;
use crate::error::BenchError;
use crate::floor::{self, Floor, Table};
use crate::meter;
use mmr::{Config, Daemon};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use wire::stats::Stats;

/// `packet-rate child-router CONFIG`.
pub(crate) const ROUTER: &str = "child-router";
/// `packet-rate child-floor FLOOR`.
pub(crate) const FLOOR: &str = "child-floor";
/// How the names of a router's workers' threads begin.
pub(crate) const WORKER: &str = "mmr-worker";

/// What a router answers to each line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// As `mmr stats` tells them; workers' are at most a second old.
    pub(crate) stats: Stats,
    /// Of all workers, up to now.
    pub(crate) worker_allocations: u64,
}

/// A child and the lines between us.
pub(crate) struct Process {
    child: Child,
    /// Closed first when dropped.
    said: Option<ChildStdin>,
    hears: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this program with other arguments, in the network and on the core of the calling thread.
    ///
    /// # Errors
    /// The kernel does not.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let said = child.stdin.take();
        let hears = child.stdout.take().ok_or_else(|| BenchError::part("child", "no output"))?;
        Ok(Self { child, said, hears: BufReader::new(hears) })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a line.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn say(&mut self, line: &str) -> Result<(), BenchError> {
        let said = self.said.as_mut().ok_or_else(|| BenchError::part("child", "it was ended"))?;
        writeln!(said, "{line}").and_then(|()| said.flush()).map_err(failed)
    }

    /// Hears a line.
    ///
    /// # Errors
    /// It has ended; its standard error says why.
    pub(crate) fn hear(&mut self) -> Result<String, BenchError> {
        let mut line = String::new();
        match self.hears.read_line(&mut line).map_err(failed)? {
            0 => Err(BenchError::part("child", "it ended; see above")),
            _ => Ok(line),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.said.take());
        let _ = self.child.wait();
    }
}

/// A floor's life: the first line is its table, then it forwards until its standard input ends.
///
/// # Errors
/// No table, or no socket.
pub(crate) fn run_floor(floor: Floor) -> Result<(), BenchError> {
    let mut line = String::new();
    if io::stdin().read_line(&mut line).map_err(failed)? == 0 {
        // The bench failed before it had a table, and says why itself.
        return Ok(());
    }
    let table: Table =
        serde_json::from_str(&line).map_err(|cause| BenchError::part("floor", cause))?;
    let socket = floor::open(table.listen, floor).map_err(failed)?;
    say(&socket.local_addr().map_err(failed)?)?;
    thread::spawn(move || {
        for _ in io::stdin().lines() {}
        std::process::exit(0);
    });
    floor::forward(&socket, floor, &table).map_err(failed)
}

/// A router's life: says where it listens, then answers each line with its statistics until there are no more.
///
/// # Errors
/// The daemon does not start.
pub(crate) fn run_router(config: &Path) -> Result<(), BenchError> {
    let broken = |cause: &dyn std::fmt::Display| BenchError::part("router", cause);
    let config = Config::load(config).map_err(|cause| broken(&cause))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let daemon = Daemon::start(config).map_err(|cause| broken(&cause))?;
    say(daemon.addresses())?;
    for _ in io::stdin().lines() {
        let stats: Stats = runtime.block_on(daemon.stats()).map_err(|cause| broken(&cause))?;
        let workers = meter::threads(std::process::id(), WORKER).map_err(failed)?;
        say(&Answer { stats, worker_allocations: allocations::of(&workers) })?;
    }
    runtime.block_on(daemon.stop());
    Ok(())
}

fn say(value: &impl Serialize) -> Result<(), BenchError> {
    let line = serde_json::to_string(value).map_err(|cause| BenchError::part("child", cause))?;
    println!("{line}");
    io::stdout().flush().map_err(failed)
}

fn failed(cause: io::Error) -> BenchError {
    BenchError::part("child", cause)
}
