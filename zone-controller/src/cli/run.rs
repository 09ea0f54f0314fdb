//! `zone-controller run`: the daemon in the foreground, for systemd or a terminal.

use super::args::ConfigArgs;
use crate::config::Config;
use crate::{Daemon, Error};
use ::daemon::{Asked, Failure, Reload, Signals, runtime_of_threads, systemd};

const RELOAD: Reload = Reload {
    keys: "tls, tokens, keys, agents and operators",
    what: "certificates, keys and tokens",
};

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
        RELOAD.run(async { reload(&daemon, args, &mut config) }).await;
    }
    systemd::stopping();
    tracing::info!("ending");
    daemon.stop().await;
    Ok(())
}

/// Whether other keys changed, too.
fn reload(daemon: &Daemon, args: &ConfigArgs, running: &mut Config) -> Result<bool, String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    daemon.reload(&config).map_err(|error| error.located(&args.config).to_string())?;
    let Config { tls, tokens, fetching, agents, operators, .. } = config.clone();
    *running = Config { tls, tokens, fetching, agents, operators, ..running.clone() };
    Ok(*running != config)
}
