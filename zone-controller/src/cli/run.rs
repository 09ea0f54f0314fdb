//! `zone-controller run`: the daemon in the foreground, for systemd or a terminal.

use super::args::ConfigArgs;
use crate::config::Config;
use crate::{Daemon, Error};
use ::daemon::{Failure, hear, runtime_of_threads, systemd};
use tokio::signal::unix::SignalKind;

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    ::daemon::log::start(&config.log);
    runtime_of_threads()?.block_on(supervise(args, config))
}

async fn supervise(args: &ConfigArgs, mut config: Config) -> Result<(), Failure> {
    // Signals are caught before anybody can know that we run.
    let mut terminate = hear(SignalKind::terminate())?;
    let mut interrupt = hear(SignalKind::interrupt())?;
    let mut hang_up = hear(SignalKind::hangup())?;
    let daemon = Daemon::start(&config).map_err(|error| match error {
        Error::Credential(error) => Failure::from(error.located(&args.config)),
        other => Failure::failed(other),
    })?;
    for address in daemon.addresses() {
        tracing::info!(%address, zone = config.zone, "listening");
    }
    systemd::ready();
    let mut feedings = systemd::watchdog().map(|limit| tokio::time::interval(limit / 2));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&daemon, args, &mut config),
            () = due(&mut feedings) => systemd::feed_watchdog(),
        }
    }
    systemd::stopping();
    tracing::info!("ending");
    daemon.stop().await;
    Ok(())
}

async fn due(feedings: &mut Option<tokio::time::Interval>) {
    match feedings {
        Some(feedings) => drop(feedings.tick().await),
        None => std::future::pending().await,
    }
}

fn reload(daemon: &Daemon, args: &ConfigArgs, running: &mut Config) {
    systemd::reloading();
    match try_reload(daemon, args) {
        Ok(config) => {
            let Config { tls, tokens, agents, operators, .. } = config.clone();
            *running = Config { tls, tokens, agents, operators, ..running.clone() };
            if *running != config {
                tracing::warn!(
                    "other keys than tls, tokens, agents and operators changed too: they need a restart"
                );
            }
            tracing::info!("certificates, keys and tokens were read again");
        }
        Err(why) => tracing::error!("nothing was changed: {why}"),
    }
    systemd::ready();
}

fn try_reload(daemon: &Daemon, args: &ConfigArgs) -> Result<Config, String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    daemon.reload(&config).map_err(|error| error.located(&args.config).to_string())?;
    Ok(config)
}
