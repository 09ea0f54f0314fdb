//! `mmr run`: the daemon in the foreground, for systemd or a terminal.

use super::args::ConfigArgs;
use super::check::load;
use super::supervise::Supervisor;
use super::{Failure, runtime};
use crate::{Daemon, Error, capabilities};

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    daemon::log::start(&config.log);
    // Signals are caught before anybody can know that we run.
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut supervisor =
            Supervisor::new(config.drain_deadline, Some((&args.config, config.clone())))?;
        let daemon = Daemon::start(config).map_err(|error| match error {
            Error::Config(error) => Failure::config(error),
            Error::Credential(error) => Failure::config(error.located(&args.config)),
            other => Failure::failed(other),
        })?;
        capabilities::give_up();
        daemon.ready().await;
        let ended = supervisor.watch(&daemon).await;
        daemon.stop().await;
        ended
    })
}
