//! Port 443: who gets media, who gets control, and who gets nothing.

use crate::rig::{Client, Plan, Rig, client_config, identity, until};
use mmr::network::BackendChoice::{self, Poll, Uring};
use mmr::tls::{Prefixed, TlsConfigs};
use rstest::rstest;
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::Transport;

/// Shakes hands with the door under these names, on a thread of its own.
fn knock(
    rig: &Rig,
    config: rustls::ClientConfig,
) -> std::thread::JoinHandle<std::io::Result<Vec<u8>>> {
    let address = rig.address(Transport::Tls, false);
    std::thread::spawn(move || {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(crate::rig::PATIENCE))?;
        let tls = ClientConnection::new(Arc::new(config), address.ip().into()).unwrap();
        let mut stream = StreamOwned::new(tls, socket);
        stream.write_all(b"GET /control")?;
        let mut answer = vec![0; 2];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    })
}

#[rstest]
#[case::http(&["http/1.1"])]
#[case::a_browser(&["h2", "http/1.1"])]
#[case::no_alpn(&[])]
fn control_gets_the_socket_and_every_byte(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[case] alpn: &[&str],
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let (identity, ca) = identity();
    let client = knock(&rig, client_config(&ca, alpn));
    let passed = rig.control_stream();
    until("the door let go of it", || rig.open_connections() == 0);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::from_std(passed.socket).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), passed.remote);
        let acceptor = tokio_rustls::TlsAcceptor::from(TlsConfigs::new(&identity).control);
        let mut stream = acceptor.accept(Prefixed::new(passed.hello, socket)).await.unwrap();
        let mut request = [0; 12];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"GET /control");
        stream.write_all(b"ok").await.unwrap();
        stream.flush().await.unwrap();
    });
    assert_eq!(client.join().unwrap().unwrap(), b"ok");
    assert_eq!(rig.refused(), 0);
}

#[rstest]
fn a_full_control_thread_refuses(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    while rig.exchange.events.push(filler()).is_ok() {}
    let client = knock(&rig, client_config(&rig.ca, &["http/1.1"]));
    assert!(client.join().unwrap().is_err());
    until("it is counted", || rig.refused() == 1);
    rig.assert_rest();
}

fn filler() -> mmr::exchange::ControlEvent {
    let report = mmr::report::WorkerReport::new(router::WorkerId(0));
    mmr::exchange::ControlEvent::Report(Box::new(report))
}

#[rstest]
fn tls_1_2_is_refused_with_an_alert(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rig.ca.clone()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(mmr::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"mmr-media/1".to_vec()];
    let error = knock(&rig, config).join().unwrap().unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    until("it is counted", || rig.refused() == 1);
    rig.assert_rest();
}

#[rstest]
#[case::http(b"GET / HTTP/1.1\r\n\r\n")]
#[case::stun(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]
#[case::an_endless_hello(&endless_hello())]
fn what_is_not_tls_is_refused(#[values(Uring, Poll)] backend: BackendChoice, #[case] bytes: &[u8]) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut socket = Client::Tcp(TcpStream::connect(rig.address(Transport::Tls, false)).unwrap());
    socket.socket().set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
    // The door may close before everything is written.
    let _ = socket.write_all(bytes);
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    assert!(rest.len() < 64, "an alert at most");
    until("it is counted", || rig.refused() == 1);
    rig.assert_rest();
}

/// A ClientHello that says it is 60,000 bytes long, and 30,000 bytes of it.
fn endless_hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left: Vec<u8> = [&[1, 0, 0xea, 0x60, 3, 3][..], &[0; 30_000]].concat();
    while !left.is_empty() {
        let record: Vec<u8> = left.drain(..left.len().min(8_000)).collect();
        let len = u16::try_from(record.len()).unwrap();
        bytes.extend_from_slice(&[22, 3, 1]);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&record);
    }
    bytes
}

#[rstest]
#[case::says_nothing(0)]
#[case::says_half_a_hello(100)]
fn half_open_tls_ends_at_the_deadline(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[case] len: usize,
) {
    let plan = Plan::new(backend).limits(|limits| limits.handshake = Duration::from_millis(100));
    let Some(rig) = plan.open() else { return };
    let mut socket = TcpStream::connect(rig.address(Transport::Tls, false)).unwrap();
    socket.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
    socket.write_all(&hello(&rig)[..len]).unwrap();
    assert_closed(&mut socket);
    until("it is counted", || rig.refused() == 1);
    rig.assert_rest();
}

#[rstest]
fn slow_tls_ends_at_the_deadline_however_busy(#[values(Uring, Poll)] backend: BackendChoice) {
    let plan = Plan::new(backend).limits(|limits| limits.handshake = Duration::from_millis(200));
    let Some(rig) = plan.open() else { return };
    let mut socket = TcpStream::connect(rig.address(Transport::Tls, false)).unwrap();
    // A byte every 10 ms would take seconds; the door does not wait for them.
    let mut sent = 0;
    for byte in hello(&rig) {
        if socket.write_all(&[byte]).is_err() {
            break;
        }
        sent += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(sent < 100, "{sent} bytes were taken");
    assert_eq!(rig.refused(), 1);
    rig.assert_rest();
}

#[rstest]
fn a_handshake_never_finished_ends_at_the_deadline(#[values(Uring, Poll)] backend: BackendChoice) {
    let plan = Plan::new(backend).limits(|limits| limits.handshake = Duration::from_millis(100));
    let Some(rig) = plan.open() else { return };
    let mut socket = TcpStream::connect(rig.address(Transport::Tls, false)).unwrap();
    socket.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
    socket.write_all(&hello(&rig)).unwrap();
    let mut flight = [0; 1024];
    assert!(socket.read(&mut flight).unwrap() > 0, "the door answers the hello");
    assert_closed(&mut socket);
    until("it is counted", || rig.refused() == 1);
    rig.assert_rest();
}

/// A whole ClientHello for media.
fn hello(rig: &Rig) -> Vec<u8> {
    let config = client_config(&rig.ca, &["mmr-media/1"]);
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    hello
}

fn assert_closed(socket: &mut TcpStream) {
    let mut rest = Vec::new();
    match socket.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}
