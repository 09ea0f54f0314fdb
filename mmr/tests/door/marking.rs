//! DSCP on the door's sockets, as the kernel reports it.

use crate::rig::{Plan, Rig, until};
use mmr::exchange::DoorOrder;
use mmr::network::BackendChoice::{self, Poll, Uring};
use rstest::rstest;
use std::net::SocketAddr;
use std::process::Command;
use wire::mark::Marks;
use wire::{Kind, Transport};

/// What the kernel says it puts into the TOS or traffic class byte of the door's end (inet_diag, by
/// `ss`).
fn mark_of(door: SocketAddr, client: SocketAddr) -> Option<u8> {
    let filter = format!("src {door} and dst {client}");
    let output = Command::new("ss").args(["-tnH", "--tos", &filter]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let name = if door.is_ipv6() { "tclass:0x" } else { "tos:0x" };
    let hex = text.split_whitespace().find_map(|word| word.strip_prefix(name))?;
    Some(u8::from_str_radix(hex, 16).unwrap())
}

fn assert_marks(rig: &Rig, transport: Transport, ipv6: bool, marks: Marks) {
    let door = rig.address(transport, ipv6);
    for kind in Kind::ALL {
        let mut client = rig.connect_by(transport, ipv6);
        let local = client.socket().local_addr().unwrap();
        let control = marks.control.traffic_class();
        until("control's mark is on it", || mark_of(door, local) == Some(control));
        client.check(kind);
        assert_eq!(mark_of(door, local), Some(marks.of(kind).traffic_class()), "{kind}");
    }
}

#[rstest]
fn a_connection_takes_the_mark_of_its_kind(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
    #[values(false, true)] ipv6: bool,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    assert_marks(&rig, transport, ipv6, Marks::DEFAULT);
}

#[rstest]
fn new_marks_reach_connections_that_stand_and_those_to_come(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(false, true)] ipv6: bool,
) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let door = rig.address(Transport::Tcp, ipv6);
    let mut client = rig.connect_by(Transport::Tcp, ipv6);
    let local = client.socket().local_addr().unwrap();
    client.check(Kind::Audio);
    let waiting = rig.connect_by(Transport::Tcp, ipv6);
    rig.order(DoorOrder::Mark(Marks::ZOOM));
    let zoom = Some(Marks::ZOOM.audio.traffic_class());
    until("the standing connection is marked", || mark_of(door, local) == zoom);
    drop(waiting);
    assert_marks(&rig, Transport::Tcp, ipv6, Marks::ZOOM);
}

#[rstest]
fn off_marks_nothing(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = (Plan { marks: Marks::OFF, ..Plan::new(backend) }).open() else { return };
    let mut client = rig.connect(Transport::Tcp);
    client.check(Kind::Audio);
    let local = client.socket().local_addr().unwrap();
    let mark = mark_of(rig.address(Transport::Tcp, false), local);
    assert!(matches!(mark, None | Some(0)), "{mark:?}");
}

#[rstest]
fn a_control_stream_comes_with_controls_mark(#[values(Uring, Poll)] backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let address = rig.address(Transport::Tls, false);
    let config = crate::rig::client_config(&rig.ca, &["http/1.1"]);
    let name = address.ip().into();
    let mut tls = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    tls.write_tls(&mut socket).unwrap();
    let passed = rig.control_stream();
    let tos = socket2::SockRef::from(&passed.socket).tos_v4().unwrap();
    assert_eq!(tos, u32::from(Marks::DEFAULT.control.traffic_class()));
}
