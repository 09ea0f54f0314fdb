//! Where io_uring is forbidden, as in most containers, `auto` takes `poll`, says why, and packets
//! go through.
//!
//! A seccomp filter binds a thread and those it starts, so the rest of this process keeps its
//! io_uring.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod meeting;

use meeting::{Client, Control, layer_ssrc, router_config, rtp};
use mmr::exchange::{Exchange, WorkerOrder};
use mmr::network::sockets::{self, SocketOptions};
use mmr::network::{self, Backend, BackendChoice};
use mmr::worker::{self, WorkerConfig};
use nix::libc;
use seccompiler::{SeccompAction, SeccompFilter};
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use wire::Kind;
use wire::mark::Marks;

#[test]
fn where_io_uring_is_forbidden_auto_polls_and_says_why() {
    thread::spawn(|| {
        forbid_io_uring();
        let chosen = network::choose(BackendChoice::Auto).unwrap();
        assert_eq!(chosen.backend, Backend::Poll);
        let reason = chosen.fallback.unwrap();
        assert!(reason.contains("forbidden") && reason.contains("seccomp"), "{reason}");
        forward_a_packet(chosen.backend);
    })
    .join()
    .unwrap();
}

#[test]
fn where_io_uring_is_forbidden_asking_for_it_fails() {
    thread::spawn(|| {
        forbid_io_uring();
        let error = network::choose(BackendChoice::Uring).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    })
    .join()
    .unwrap();
}

#[test]
fn where_io_uring_works_auto_takes_it() {
    let chosen = network::choose(BackendChoice::Auto).unwrap();
    assert_eq!(chosen.fallback, None, "this test needs io_uring");
    assert_eq!(chosen.backend, Backend::Uring);
    forward_a_packet(chosen.backend);
}

/// From here on, for this thread and those it starts.
fn forbid_io_uring() {
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let filter = SeccompFilter::new(
        calls.map(|call| (call, vec![])).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// Starts two workers and lets one participant hear another.
fn forward_a_packet(backend: Backend) {
    let exchange = Arc::new(Exchange::new(2, Instant::now()).unwrap());
    let listen = ["127.0.0.1:0".parse().unwrap()];
    let listening = sockets::open(&listen, 2, &SocketOptions::default()).unwrap();
    let router = listening.addresses[0];
    let mut handles = Vec::new();
    for (worker, sockets) in (0..).zip(listening.workers) {
        let config = WorkerConfig {
            core: None,
            sockets,
            backend,
            router: router_config(worker, 2),
            marks: Marks::DEFAULT,
            exchange: Arc::clone(&exchange),
        };
        handles.push(worker::start(config).unwrap());
        let control = Control { exchange: &exchange, worker: usize::from(worker) };
        control.add_link(0, Kind::Audio);
        control.add_link(1, Kind::Audio);
        control.add_layer(0, 0, Kind::Audio);
        control.route(0, 1);
    }
    let (mut publisher, mut subscriber) = (Client::new(0, router), Client::new(1, router));
    subscriber.check();
    subscriber.hear_answer();
    publisher.check();
    publisher.hear_answer();
    // The worker that hears the publisher may be told of the subscriber by the other one a moment
    // later.
    let sent: Vec<_> = (0..100).map(|seq| rtp(layer_ssrc(0), seq, 200)).collect();
    let mut heard = [0; 2_048];
    let found = sent.iter().any(|packet| {
        publisher.send(packet);
        subscriber.socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        subscriber.socket.recv(&mut heard).is_ok_and(|len| heard[..len] == packet[..])
    });
    assert!(found, "no packet was forwarded");
    for handle in handles {
        let control = Control { exchange: &exchange, worker: usize::from(handle.worker().0) };
        control.order(WorkerOrder::Stop);
        handle.join().unwrap();
    }
}
