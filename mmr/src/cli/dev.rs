//! `mmr dev`: a router for trying out, with commands to paste.

use super::args::{BackendName, DevArgs, StateArgs};
use super::ports::{Port, Use, choose};
use super::supervise::Supervisor;
use super::{Failure, runtime, say};
use crate::config::{Log, MEDIA_PORT, TLS_PORT};
use crate::dev::{self, Dev};
use crate::network::BackendChoice;
use crate::{Config, Daemon, capabilities};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::token::Role;

pub(super) fn dev(args: &DevArgs) -> Result<(), Failure> {
    daemon::log::start(&Log { filter: "warn".to_owned(), ..Log::default() });
    let dir = state_dir(&args.state);
    refuse_second(&dir)?;
    let dev = Dev::at(&dir).map_err(Failure::failed)?;
    let media = choose(args.media_port, MEDIA_PORT, &args.listen, Use::UdpAndTcp);
    let tls = choose(args.tls_port, TLS_PORT, &args.listen, Use::Tcp);
    let config = config(&dev, args, &media, &tls);
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut supervisor = Supervisor::new(Duration::ZERO, None)?;
        let daemon = Daemon::start(config).map_err(Failure::failed)?;
        capabilities::give_up();
        say(&welcome(&dev, &daemon, &[media, tls]))?;
        let ended = supervisor.watch(&daemon).await;
        daemon.stop().await;
        ended
    })
}

/// Where `mmr dev` keeps its files.
pub(super) fn state_dir(args: &StateArgs) -> PathBuf {
    let named = || {
        let uid = nix::unistd::geteuid();
        std::env::temp_dir().join(format!("mmr-dev-{uid}"))
    };
    let runtime_dir = || Some(PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?).join("mmr-dev"));
    args.state_dir.clone().or_else(runtime_dir).unwrap_or_else(named)
}

/// New keys under a running router's feet would make its tokens useless.
fn refuse_second(dir: &Path) -> Result<(), Failure> {
    let socket = dir.join(dev::ADMIN_SOCKET);
    if std::os::unix::net::UnixStream::connect(&socket).is_err() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "another mmr dev runs in {}. Stop it, or give this one a folder of its own with --state-dir.",
        dir.display()
    )))
}

fn config(dev: &Dev, args: &DevArgs, media: &Port, tls: &Port) -> Config {
    let mut config = dev.config();
    config.listen.addresses.clone_from(&args.listen);
    config.listen.media_port = media.number;
    config.listen.tls_port = tls.number;
    config.workers.count = Some(args.workers);
    config.workers.backend = match args.backend {
        BackendName::Auto => BackendChoice::Auto,
        BackendName::Uring => BackendChoice::Uring,
        BackendName::Poll => BackendChoice::Poll,
    };
    config
}

/// Where it listens, and what to paste into other terminals.
fn welcome(dev: &Dev, daemon: &Daemon, ports: &[Port]) -> String {
    let addresses = daemon.addresses();
    let list =
        |all: &[SocketAddr]| all.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    let notes: String = ports
        .iter()
        .filter_map(|port| port.instead.as_ref())
        .map(|why| format!("Note: {why}.\n"))
        .collect();
    let host = addresses.tls.first().map_or_else(String::new, |first| reachable(*first));
    let client = |command: &str, participant: &str, files: &str| {
        format!(
            "  mmr-client {command} --mmr {host} --ca {} \\\n    --token {} \\\n    {files}\n",
            dev.ca_file().display(),
            dev.token("demo", participant, Role::Attendee),
        )
    };
    format!(
        "mmr dev: a router for trying out, in zone \"{zone}\"\n{notes}\n\
         \x20 UDP    {udp}\n  TCP    {tcp}\n  TLS    {tls}   control channel: wss://{host}/control\n\
         \x20 CA     {ca}\n  admin  {admin}\n\n\
         Publish a clip, in another terminal:\n{publish}\n\
         Record it, in a third:\n{record}\n\
         A token is good for 10 minutes and for one use. More of them:\n\
         \x20 mmr token --meeting demo --participant NAME{state}\n\
         Watch:  mmr top --socket {admin}\n\
         Ctrl-C ends it.\n",
        zone = dev::ZONE,
        udp = list(&addresses.udp),
        tcp = list(&addresses.tcp),
        tls = list(&addresses.tls),
        ca = dev.ca_file().display(),
        admin = dev.dir().join(dev::ADMIN_SOCKET).display(),
        publish = client(
            "publish",
            "publisher",
            "--audio tests/media/clip.ogg --video tests/media/clip.ivf"
        ),
        record = client("record", "subscriber", "--out recording"),
        state = state_option(dev.dir()),
    )
}

/// What to add for the state folder, when it is not where `mmr token` looks by itself.
fn state_option(dir: &Path) -> String {
    if state_dir(&StateArgs { state_dir: None }) == dir {
        return String::new();
    }
    format!(" --state-dir {}", dir.display())
}

/// An address to connect to on this host.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("localhost:{}", address.port());
    }
    address.to_string()
}
