//! The commands: reads arguments, runs one, says how it went, answers with an exit code.

mod args;
mod bridge;
mod join;
mod publish;
mod record;
mod show;
mod trace;

use args::{Args, Command};
use clap::Parser;
use client::ClientError;
use std::process::ExitCode;
use std::time::Duration;

/// What a script reads off the exit code; told by `--help`.
#[derive(Clone, Copy)]
enum Exit {
    /// Everything was done.
    Done = 0,
    /// A defect, or a file that cannot be written.
    Failed = 1,
    /// Arguments or input files that cannot be used; clap answers the same.
    Usage = 2,
    /// No way in, or to media.
    Unreachable = 3,
    /// Somebody on the way said no.
    Refused = 4,
    /// The session or a link ended before it was done.
    Lost = 5,
}

pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(args.command)),
        Err(cause) => Err(ClientError::Io { what: "no threads to run on".into(), cause }),
    };
    let exit = outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        exit_of(&error)
    });
    ExitCode::from(exit as u8)
}

async fn run(command: Command) -> Result<Exit, ClientError> {
    match command {
        Command::Join(args) => join::run(args).await,
        Command::Publish(args) => publish::run(args).await,
        Command::Record(args) => record::run(args).await,
        Command::Bridge(args) => bridge::run(args).await,
        Command::Trace(args) => trace::run(args).await,
    }
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Address(_)
        | ClientError::ControllerUrl(_)
        | ClientError::Token(_)
        | ClientError::Link(_)
        | ClientError::Proxy(_)
        | ClientError::Trust(_)
        | ClientError::Media(_)
        | ClientError::Payload(_) => Exit::Usage,
        unreachable if unreachable.is_unreachable() => Exit::Unreachable,
        ClientError::Refused { .. }
        | ClientError::NotAssigned { .. }
        | ClientError::LookupRefused { .. } => Exit::Refused,
        ClientError::ChannelLost(_) | ClientError::LinkClosed(_) => Exit::Lost,
        _ => Exit::Failed,
    }
}

/// Ends on Ctrl-C, on SIGTERM, or after the time given: all of them finish files cleanly.
async fn stop(duration: Option<Duration>) {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Without a handler Ctrl-C kills, which stops as well.
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
        () = over => {}
    }
}
