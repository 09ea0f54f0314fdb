//! Commands for a running daemon: `mmr stats`, `mmr drain`, `mmr undrain`.

use super::args::{DrainArgs, SocketArgs, StateArgs};
use super::dev::state_dir;
use super::{Failure, runtime, say};
use crate::admin::client;
use crate::config::ADMIN_SOCKET;
use crate::dev;
use hyper::Method;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::stats::Stats;

pub(super) fn stats(args: &SocketArgs) -> Result<(), Failure> {
    let stats = runtime()?.block_on(newest(&socket(args)))?;
    let text = serde_json::to_string_pretty(&stats).map_err(Failure::failed)?;
    say(&format!("{text}\n"))
}

pub(super) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let socket = socket(&args.socket);
    runtime()?.block_on(async {
        let path = format!("/drain?deadline={}ms", args.deadline.as_millis());
        ask(&socket, Method::POST, &path).await?;
        let stats = newest(&socket).await?;
        say(&format!(
            "draining for {} s: {} participants in {} meetings were told to move on\n",
            args.deadline.as_secs(),
            stats.participants,
            stats.meetings
        ))?;
        if args.wait { wait(&socket, args.deadline).await } else { Ok(()) }
    })
}

pub(super) fn undrain(args: &SocketArgs) -> Result<(), Failure> {
    let answer = runtime()?.block_on(ask(&socket(args), Method::POST, "/undrain"))?;
    say(&answer)
}

/// A daemon's stats.
pub(super) async fn newest(socket: &Path) -> Result<Stats, Failure> {
    let text = ask(socket, Method::GET, "/stats").await?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::failed(format!(
            "the daemon's stats can't be read: {error}. Is it of the same version as this mmr?"
        ))
    })
}

/// The socket named, else the usual one, else that of the running `mmr dev`.
pub(super) fn socket(args: &SocketArgs) -> PathBuf {
    let usual = Path::new(ADMIN_SOCKET);
    let of_dev = || state_dir(&StateArgs { state_dir: None }).join(dev::ADMIN_SOCKET);
    match &args.socket {
        Some(socket) => socket.clone(),
        None if !usual.exists() && of_dev().exists() => of_dev(),
        None => usual.to_owned(),
    }
}

async fn ask(socket: &Path, method: Method, path: &str) -> Result<String, Failure> {
    client::ask(socket, method, path).await.map_err(Failure::failed)
}

async fn wait(socket: &Path, deadline: Duration) -> Result<(), Failure> {
    let until = Instant::now() + deadline;
    loop {
        let left = newest(socket).await?.participants;
        if left == 0 {
            return say("nobody is left\n");
        }
        if Instant::now() >= until {
            return Err(Failure::failed(format!(
                "{left} participants are still here. Wait on with another --deadline, or stop the daemon all the same."
            )));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
