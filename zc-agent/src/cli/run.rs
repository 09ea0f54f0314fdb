//! `zc-agent run`: the agent in the foreground, for systemd or a terminal.

use crate::agent::Agent;
use crate::config::Config;
use daemon::{Failure, Reload, hear, runtime, systemd};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::time::interval;

const RELOAD: Reload =
    Reload { keys: "controllers.ca, certificate, key and token", what: "certificates and tokens" };

/// How often tasks are looked at, and the watchdog is fed if there is a new report.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    daemon::log::start(&config.log);
    runtime()?.block_on(async {
        // Signals are caught before anybody can know that we run.
        let mut signals = Signals::new()?;
        let agent = Agent::start(&config).map_err(|error| error.located(file))?;
        let controllers = config.controllers.urls.len();
        tracing::info!(mmr = %config.mmr.id, zone = config.zone, controllers, "running");
        systemd::ready();
        let ended = signals.watch(&agent, file, &config).await;
        systemd::stopping();
        ended
    })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }

    /// Returns when the agent should end; an error when it must.
    async fn watch(&mut self, agent: &Agent, file: &Path, running: &Config) -> Result<(), Failure> {
        let mut looks = interval(LOOK_INTERVAL);
        let mut sequence = 0;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Ok(()),
                _ = self.interrupt.recv() => return Ok(()),
                _ = self.hang_up.recv() => RELOAD.run(async { reload(agent, file, running) }).await,
                _ = looks.tick() => {
                    if agent.has_failed() {
                        let why = "a task has ended: the log above says why. Start the agent again.";
                        return Err(Failure::failed(why));
                    }
                    // Without a report nobody is told anything: that is not well.
                    if std::mem::replace(&mut sequence, agent.sequence()) != sequence {
                        systemd::feed_watchdog();
                    }
                }
            }
        }
    }
}

/// Whether other keys changed, too.
fn reload(agent: &Agent, file: &Path, running: &Config) -> Result<bool, String> {
    let config = Config::load(file).map_err(|error| error.to_string())?;
    agent.reload(&config).map_err(|error| error.located(file).to_string())?;
    Ok(!differs_only_in_what_reloads(running, &config))
}

fn differs_only_in_what_reloads(running: &Config, new: &Config) -> bool {
    let mut new = new.clone();
    let urls = std::mem::replace(&mut new.controllers, running.controllers.clone()).urls;
    new == *running && urls == running.controllers.urls
}
