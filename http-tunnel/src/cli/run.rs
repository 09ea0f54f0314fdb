//! `http-tunnel run`: the daemon in the foreground, for systemd or a terminal.

use super::args::ConfigArgs;
use crate::config::Config;
use crate::{Daemon, Error};
use ::daemon::{Asked, Failure, Reload, Signals, runtime_of_threads, systemd};
use std::time::Duration;

const RELOAD: Reload = Reload {
    keys: "tls, zones, keys, names and operators",
    what: "certificates, zones and tokens",
};

/// What ending takes beyond the drain.
const END_EXTRA: Duration = Duration::from_secs(10);

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    ::daemon::log::start(&config.log);
    let runtime = runtime_of_threads()?;
    let ended = runtime.block_on(supervise(args, config));
    // A name that is being resolved holds nobody up.
    runtime.shutdown_background();
    ended
}

async fn supervise(args: &ConfigArgs, mut config: Config) -> Result<(), Failure> {
    let mut signals = Signals::hear()?;
    let daemon = Daemon::start(&config).map_err(|error| match error {
        Error::Credential(error) => Failure::from(error.located(&args.config)),
        other => Failure::failed(other),
    })?;
    daemon.ready().await;
    for address in daemon.addresses() {
        tracing::info!(%address, zones = config.zones.len(), "listening");
    }
    systemd::ready();
    while signals.next().await == Asked::Reload {
        RELOAD.run(async { reload(&daemon, args, &mut config) }).await;
    }
    systemd::stopping();
    systemd::still_stopping(config.drain_deadline + END_EXTRA);
    tracing::info!(deadline = ?config.drain_deadline, "draining");
    tokio::select! {
        () = daemon.stop() => tracing::info!("drained"),
        () = asked_again(&mut signals) => tracing::info!("asked again: ending at once"),
    }
    Ok(())
}

async fn asked_again(signals: &mut Signals) {
    while signals.next().await == Asked::Reload {}
}

/// Whether other keys changed, too.
fn reload(daemon: &Daemon, args: &ConfigArgs, running: &mut Config) -> Result<bool, String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    daemon.reload(&config).map_err(|error| error.located(&args.config).to_string())?;
    let Config { tls, zones, fetching, private, operators, .. } = config.clone();
    *running = Config { tls, zones, fetching, private, operators, ..running.clone() };
    Ok(*running != config)
}
