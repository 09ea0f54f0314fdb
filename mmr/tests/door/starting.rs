//! Opening the doors where that is not possible as asked.

use crate::rig::{Plan, identity};
use mmr::door::{DoorConfig, DoorError, DoorLimits};
use mmr::exchange::Exchange;
use mmr::network::BackendChoice;
use mmr::tls::TlsConfigs;
use seccompiler::{SeccompAction, SeccompFilter};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;
use wire::mark::Marks;
use wire::{Kind, Transport};

fn start(tcp: SocketAddr) -> Result<mmr::door::DoorHandle, DoorError> {
    let (identity, _) = identity();
    let config = DoorConfig {
        tcp: vec![tcp],
        tls: Vec::new(),
        tls_config: TlsConfigs::new(&identity).media,
        marks: Marks::DEFAULT,
        backend: BackendChoice::Auto,
        limits: DoorLimits::default(),
    };
    mmr::door::start(config, Arc::new(Exchange::new(1, Instant::now()).unwrap()))
}

#[test]
fn a_busy_port_says_so_and_how_to_find_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let error = start(address).err().unwrap().to_string();
    let port = address.port();
    assert!(error.contains(&format!("cannot listen on TCP {address}")), "{error}");
    assert!(error.contains(&format!("ss -ltnp 'sport = :{port}'")), "{error}");
}

#[test]
fn a_foreign_address_says_so() {
    // TEST-NET-1 (RFC 5737): on no interface.
    let error = start("192.0.2.1:0".parse().unwrap()).err().unwrap().to_string();
    assert!(error.contains("on no interface of this host"), "{error}");
}

/// Runs `then` on a thread, and the threads it starts, that may not use io_uring.
fn without_io_uring<T: Send + 'static>(then: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(move || {
        let denied =
            [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
        let filter = SeccompFilter::new(
            denied.into_iter().map(|call| (call, vec![])).collect(),
            SeccompAction::Allow,
            SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap()),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        then()
    })
    .join()
    .unwrap()
}

#[test]
fn auto_serves_on_plain_tokio_where_io_uring_is_forbidden_and_says_why() {
    without_io_uring(|| {
        let rig = Plan::new(BackendChoice::Auto).open().unwrap();
        let handle = rig.handle.as_ref().unwrap();
        assert_eq!(handle.backend(), "tokio");
        assert!(handle.fallback().unwrap().contains("not permitted"), "{:?}", handle.fallback());
        rig.connect(Transport::Tls).check(Kind::Audio);
    });
}

#[test]
fn uring_is_an_error_where_it_is_forbidden() {
    let error = without_io_uring(|| {
        let (identity, _) = identity();
        let config = DoorConfig {
            tcp: vec!["127.0.0.1:0".parse().unwrap()],
            tls: Vec::new(),
            tls_config: TlsConfigs::new(&identity).media,
            marks: Marks::DEFAULT,
            backend: BackendChoice::Uring,
            limits: DoorLimits::default(),
        };
        let exchange = Arc::new(Exchange::new(1, Instant::now()).unwrap());
        mmr::door::start(config, exchange).err().unwrap().to_string()
    });
    assert!(error.contains("kernel.io_uring_disabled"), "{error}");
}
