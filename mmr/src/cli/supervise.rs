//! Watches a running daemon for whoever started it: signals, systemd's watchdog, threads that end.

use super::Failure;
use super::check::load;
use crate::{Config, Daemon, Error};
use daemon::{Reload, hear, systemd};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind};
use tokio::time::{Interval, interval};

const RELOAD: Reload =
    Reload { keys: "dscp, tls, tokens and keys", what: "certificates, token keys and DSCP" };

/// How often threads, and the participants left in a drain, are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long systemd waits for the next word of a daemon that stops. Asked for again and again, since
/// a drain may take longer than can be asked for at once, and a supervisor that hangs should not get
/// all of it.
const STOP_EXTENSION: Duration = Duration::from_secs(15);
/// How often that is asked for; the last time must do for closing everything, too.
const STOP_EXTENSION_INTERVAL: Duration = Duration::from_secs(2);

/// Hears signals from its making on.
pub(super) struct Supervisor<'a> {
    terminate: Signal,
    interrupt: Signal,
    reloads: Option<Reloads<'a>>,
    drain_deadline: Duration,
}

/// What SIGHUP reads again.
struct Reloads<'a> {
    hang_up: Signal,
    file: &'a Path,
    running: Config,
}

impl<'a> Supervisor<'a> {
    /// `source` is what SIGHUP reads again. Without one SIGHUP is left as it was: it ends a process
    /// whose terminal goes, unless that was started with nohup.
    pub(super) fn new(
        drain_deadline: Duration,
        source: Option<(&'a Path, Config)>,
    ) -> Result<Self, Failure> {
        let reloads = |(file, running)| {
            Ok::<_, Failure>(Reloads { hang_up: hear(SignalKind::hangup())?, file, running })
        };
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            reloads: source.map(reloads).transpose()?,
            drain_deadline,
        })
    }

    /// Returns when the daemon should end; an error when it must.
    pub(super) async fn watch(&mut self, daemon: &Daemon) -> Result<(), Failure> {
        systemd::ready();
        let mut watchdog = Watchdog::new();
        let mut looks = interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return self.drain(daemon).await,
                _ = self.interrupt.recv() => return self.drain(daemon).await,
                reloads = hung_up(&mut self.reloads) => {
                    RELOAD.run(reload(daemon, reloads.file, &mut reloads.running)).await;
                }
                _ = looks.tick() => look(daemon)?,
                () = watchdog.due() => watchdog.feed(daemon),
            }
        }
    }

    /// Waits until nobody is left, the deadline has passed, or a second signal came.
    async fn drain(&mut self, daemon: &Daemon) -> Result<(), Failure> {
        systemd::stopping();
        let mut extensions = interval(STOP_EXTENSION_INTERVAL);
        let deadline = Instant::now() + self.drain_deadline;
        daemon.drain_to_end(self.drain_deadline).await.map_err(Failure::failed)?;
        let mut watchdog = Watchdog::new();
        let mut looks = interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break tracing::info!("told again: ending at once"),
                _ = self.interrupt.recv() => break tracing::info!("told again: ending at once"),
                () = watchdog.due() => watchdog.feed(daemon),
                _ = extensions.tick() => systemd::still_stopping(STOP_EXTENSION),
                _ = looks.tick() => {
                    look(daemon)?;
                    let left = daemon.stats().await.map_err(Failure::failed)?.participants;
                    if left == 0 {
                        break tracing::info!("nobody is left: ending");
                    }
                    if Instant::now() >= deadline {
                        break tracing::warn!(left, "the drain's deadline has passed: ending");
                    }
                }
            }
        }
        Ok(())
    }
}

/// What SIGHUP asks to read again.
async fn hung_up<'a, 'b>(reloads: &'b mut Option<Reloads<'a>>) -> &'b mut Reloads<'a> {
    match reloads {
        Some(reloads) => {
            reloads.hang_up.recv().await;
            reloads
        }
        None => std::future::pending().await,
    }
}

/// A thread that ended can't be mended from within; whoever started us starts us again.
fn look(daemon: &Daemon) -> Result<(), Failure> {
    match daemon.ended() {
        None => Ok(()),
        Some(what) => {
            Err(Failure::failed(format!("{what}: the log above says why. Start the daemon again.")))
        }
    }
}

/// Whether other keys changed, too.
async fn reload(daemon: &Daemon, file: &Path, running: &mut Config) -> Result<bool, String> {
    let config = load(file).map_err(|failure| failure.message)?;
    match daemon.reload(&config).await {
        Ok(()) => {}
        Err(Error::Credential(error)) => return Err(error.located(file).to_string()),
        Err(other) => return Err(other.to_string()),
    }
    let others_changed = !differs_only_in_what_reloads(running, &config);
    running.marks = config.marks;
    Ok(others_changed)
}

fn differs_only_in_what_reloads(running: &Config, new: &Config) -> bool {
    let Config { marks, tls, token_keys, fetching, .. } = running.clone();
    Config { marks, tls, token_keys, fetching, ..new.clone() } == *running
}

/// systemd's watchdog, when the unit has one: fed only while every worker takes its turns.
struct Watchdog {
    feeding: Option<Interval>,
    starved: bool,
}

impl Watchdog {
    fn new() -> Self {
        let every = systemd::watchdog().map(|limit| interval(limit / 2));
        Self { feeding: every, starved: false }
    }

    async fn due(&mut self) {
        match &mut self.feeding {
            Some(feeding) => drop(feeding.tick().await),
            None => std::future::pending().await,
        }
    }

    fn feed(&mut self, daemon: &Daemon) {
        match daemon.health() {
            Ok(()) => {
                self.starved = false;
                systemd::feed_watchdog();
            }
            Err(what) if !self.starved => {
                self.starved = true;
                tracing::error!("the watchdog is not fed: {what}");
            }
            Err(_) => {}
        }
    }
}
