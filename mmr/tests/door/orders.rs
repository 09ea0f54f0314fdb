//! Control's orders: close, new certificates, stop.

use crate::rig::{Client, Plan, client_config, connection_of, identity, rtp, until};
use mmr::exchange::DoorOrder;
use mmr::network::BackendChoice::{self, Poll, Uring};
use mmr::tls::TlsConfigs;
use router::ConnectionId;
use rstest::rstest;
use rustls::ClientConnection;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;
use wire::{Kind, Transport};

#[rstest]
fn close_ends_one_connection_politely(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let (mut first, mut second) = (rig.connect(transport), rig.connect(transport));
    first.check(Kind::Audio);
    first.send(&rtp(1, 100));
    let (_, path, _) = rig.packet();
    second.check(Kind::Audio);

    rig.order(DoorOrder::Close(connection_of(path)));
    // TLS says close_notify: the client's rustls would call anything else an unexpected end.
    assert_eq!(first.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(rig.closed(), path);
    second.send(&rtp(2, 100));
    assert_eq!(rig.packet().2, rtp(2, 100));
}

#[rstest]
fn packets_for_a_closed_connection_are_counted(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    rig.order(DoorOrder::Close(ConnectionId(77)));
    rig.transmit(ConnectionId(77), Kind::Audio, &rtp(1, 100), Instant::now());
    until("it is counted", || rig.drops(router::DropReason::StreamClosed) == 1);
    rig.assert_rest();
}

#[rstest]
fn new_certificates_serve_new_connections(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(mut rig) = Plan::new(backend).open() else { return };
    let mut old = rig.connect(Transport::Tls);
    old.check(Kind::Audio);

    let (identity, renewed) = identity();
    rig.order(DoorOrder::Certificates(TlsConfigs::new(&identity).media));
    until("the new certificate is shown", || {
        let config = Arc::new(client_config(&renewed, &["mmr-media/1"]));
        let address = rig.address(Transport::Tls, false);
        let mut tls = ClientConnection::new(config, address.ip().into()).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        // Fails while the door still shows the certificate this client does not trust.
        tls.complete_io(&mut socket).is_ok()
    });
    rig.ca = renewed;
    rig.connect(Transport::Tls).check(Kind::Video);
    old.send(&rtp(3, 100));
    loop {
        if let crate::rig::Heard::Packet { packet, .. } =
            rig.heard.recv_timeout(crate::rig::PATIENCE).unwrap()
        {
            assert_eq!(packet, rtp(3, 100));
            break;
        }
    }
}

#[rstest]
fn stop_closes_everything_and_frees_the_ports(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(mut rig) = Plan::new(backend).open() else { return };
    let mut clients: Vec<Client> =
        [Transport::Tcp, Transport::Tls].map(|transport| rig.connect(transport)).into();
    clients.iter_mut().for_each(|client| client.check(Kind::Audio));
    let half_open = rig.connect(Transport::Tls);
    until("it is in", || rig.open_connections() == 3);
    let addresses = [Transport::Tcp, Transport::Tls].map(|transport| rig.address(transport, false));
    rig.handle.take().unwrap().stop();
    assert_eq!(rig.open_connections(), 0);
    for address in addresses {
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    for client in &mut clients {
        assert_eq!(client.read(&mut [0; 16]).unwrap(), 0);
    }
    drop(half_open);
}
