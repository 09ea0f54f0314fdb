//! `zone-controller run`: the daemon in the foreground, for systemd or a terminal.

use super::args::ConfigArgs;
use crate::config::Config;
use crate::{Daemon, Error};
use ::daemon::{Asked, Failure, Signals, runtime_of_threads, systemd};

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    ::daemon::log::start(&config.log);
    runtime_of_threads()?.block_on(supervise(args, config))
}

async fn supervise(args: &ConfigArgs, mut config: Config) -> Result<(), Failure> {
    let mut signals = Signals::hear()?;
    let daemon = Daemon::start(&config).map_err(|error| match error {
        Error::Credential(error) => Failure::from(error.located(&args.config)),
        other => Failure::failed(other),
    })?;
    daemon.ready().await;
    for address in daemon.addresses() {
        tracing::info!(%address, zone = config.zone, "listening");
    }
    systemd::ready();
    while signals.next().await == Asked::Reload {
        reload(&daemon, args, &mut config);
    }
    systemd::stopping();
    tracing::info!("ending");
    daemon.stop().await;
    Ok(())
}

fn reload(daemon: &Daemon, args: &ConfigArgs, running: &mut Config) {
    systemd::reloading();
    match try_reload(daemon, args) {
        Ok(config) => {
            let Config { tls, tokens, fetching, agents, operators, .. } = config.clone();
            *running = Config { tls, tokens, fetching, agents, operators, ..running.clone() };
            if *running != config {
                tracing::warn!(
                    "other keys than tls, tokens, keys, agents and operators changed too: they need a restart"
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
