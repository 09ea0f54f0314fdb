//! Ten thousand connections that break off leave nothing behind: no descriptor, no memory, no
//! count. In a process of its own, as it counts the process's descriptors and memory.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(unreachable_pub, missing_docs, reason = "shared within a test, which nobody depends on")]

#[path = "door/rig.rs"]
#[allow(dead_code, reason = "shared with the other tests of the door")]
mod rig;

use mmr::network::BackendChoice;
use rig::{Client, Plan, Rig, client_config, until};
use socket2::SockRef;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use wire::{Kind, Transport};

const CONNECTIONS: usize = 10_000;
/// Allocators keep a little; 10,000 connections that each left only their read buffer would be 80
/// MiB.
const GROWTH_KIB_MAX: usize = 16 * 1024;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Breaks off at one of several places.
fn abort(rig: &Rig, number: usize, hello: &[u8]) {
    let transport = if number.is_multiple_of(2) { Transport::Tcp } else { Transport::Tls };
    let mut client =
        Client::Tcp(std::net::TcpStream::connect(rig.address(transport, false)).unwrap());
    match number % 10 {
        0 | 1 => {}
        2 => client.write_all(&[0]).unwrap(),
        3 => client.write_all(&hello[..hello.len() / 2]).unwrap(),
        4 => client.send(&[0xff; 100]),
        5 => client.write_all(hello).unwrap(),
        6 => client.send_check(Kind::Audio, "the wrong password, alas"),
        7 => client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap(),
        8 => client.send_check(Kind::Video, rig::PASSWORD),
        _ => client.write_all(&[0xff; 2000]).unwrap(),
    }
    // A reset, not a FIN: nothing lingers in TIME_WAIT, and the door sees the harder end.
    SockRef::from(client.socket()).set_linger(Some(Duration::ZERO)).unwrap();
}

fn abort_many(rig: &Rig, count: usize, hello: &[u8]) {
    for number in 0..count {
        abort(rig, number, hello);
        while rig.heard.try_recv().is_ok() {}
    }
    rig.assert_rest();
}

fn check(backend: BackendChoice) {
    let plan = Plan::new(backend).limits(|limits| {
        limits.half_open = 4_096;
        limits.half_open_per_source = 4_096;
    });
    let Some(rig) = plan.open() else { return };
    let config = client_config(&rig.ca, &["mmr-media/1"]);
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();

    abort_many(&rig, 1_000, &hello);
    let (descriptors_before, resident_before) = (descriptors(), resident_kib());
    abort_many(&rig, CONNECTIONS, &hello);
    until("every descriptor is closed", || descriptors() == descriptors_before);
    let grown = resident_kib().saturating_sub(resident_before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more after {CONNECTIONS} connections");

    let mut client = rig.connect(Transport::Tls);
    client.check(Kind::Audio);
}

#[test]
fn aborted_connections_leave_nothing_behind() {
    check(BackendChoice::Uring);
    check(BackendChoice::Poll);
}
