//! The daemons of the way in as processes: ready, reload, end as systemd wants it.

use crate::PATIENCE;
use nix::sys::signal::Signal;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tests::authority::Authority;
use tests::binary;
use tests::service::Service;
use wire::token::Signer;

/// A folder with a certificate for localhost and public keys.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    for (name, text) in [
        ("authority.pem", authority.pem),
        ("certificate.pem", issued.certificate),
        ("key.pem", issued.key),
        ("keys.json", Signer::generate().public_jwks()),
        ("signing-key.pem", Signer::generate().private_pem()),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn start_tunnel(folder: &TempDir, port: u16) -> Service {
    let file = folder.path().join("http-tunnel.toml");
    let text = format!(
        "[listen]\naddresses = [\"127.0.0.1\"]\nport = {port}\n\
        [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
        [[zones]]\nname = \"test\"\nkeys = \"keys.json\"\ncontrollers = [\"zc.example.org:443\"]\n"
    );
    fs::write(&file, text).unwrap();
    start("http-tunnel", &file)
}

fn start(name: &str, file: &Path) -> Service {
    let mut command = Command::new(binary(name));
    command.args(["run", "--config"]).arg(file);
    let folder = file.parent().unwrap();
    let service = Service::start(&mut command, folder, Duration::from_millis(400));
    assert!(service.is_told("READY=1", PATIENCE), "{name}");
    service
}

#[test]
fn a_tunnel_reloads_and_a_second_signal_ends_its_drain() {
    let folder = folder();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut tunnel = start_tunnel(&folder, port);
    assert!(tunnel.is_told("WATCHDOG=1", PATIENCE));
    for keys in [Signer::generate().public_jwks(), "rubbish".to_owned()] {
        fs::write(folder.path().join("keys.json"), keys).unwrap();
        tunnel.signal(Signal::SIGHUP);
        assert!(tunnel.is_told("RELOADING=1", PATIENCE) && tunnel.is_told("READY=1", PATIENCE));
    }
    // Holds the drain up.
    let held = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tunnel.signal(Signal::SIGTERM);
    assert!(tunnel.is_told("STOPPING=1", PATIENCE));
    assert!(tunnel.is_told("EXTEND_TIMEOUT_USEC=", PATIENCE));
    tunnel.signal(Signal::SIGTERM);
    assert_eq!(tunnel.ends().code(), Some(0));
    drop(held);
}

#[test]
fn a_tunnel_that_nobody_uses_ends_when_it_is_asked_to() {
    let folder = folder();
    let mut tunnel = start_tunnel(&folder, 0);
    tunnel.signal(Signal::SIGINT);
    assert_eq!(tunnel.ends().code(), Some(0));
}

#[test]
fn the_web_infrastructure_reloads_and_ends() {
    let folder = folder();
    let file = folder.path().join("mmr-web.toml");
    let text = "url = \"https://meet.example.org\"\n\
        [listen]\naddresses = [\"127.0.0.1\"]\nport = 0\n\
        [tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
        [store]\nfile = \"web.db\"\n\
        [tokens]\nsigning_keys = [\"signing-key.pem\"]\n\
        [health]\nauthority = \"authority.pem\"\n\
        [[zones]]\nname = \"test\"\ncontrollers = [\"https://127.0.0.1:1\"]\n";
    fs::write(&file, text).unwrap();
    let mut web = start("mmr-web", &file);
    assert!(web.is_told("WATCHDOG=1", PATIENCE));
    for key in [Signer::generate().private_pem(), "rubbish".to_owned()] {
        fs::write(folder.path().join("signing-key.pem"), key).unwrap();
        web.signal(Signal::SIGHUP);
        assert!(web.is_told("RELOADING=1", PATIENCE) && web.is_told("READY=1", PATIENCE));
    }
    web.signal(Signal::SIGTERM);
    assert!(web.is_told("STOPPING=1", PATIENCE));
    assert_eq!(web.ends().code(), Some(0));
}
