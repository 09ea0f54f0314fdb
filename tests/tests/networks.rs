//! The tests' own ground: namespaces, wires, blocks and captures do what the other tests rely on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::UdpSocket;
use std::time::Duration;
use tests::{Capture, Wire, is_root};

#[test]
fn a_wire_carries_both_families_and_a_block_stops_one_port() {
    if !is_root() {
        return;
    }
    let wire = Wire::new();
    wire.left.block("udp dport 7001");
    let mut capture = Capture::start(&wire.right, Wire::INTERFACE, "udp");
    let heard = |address: &str, port: u16| {
        let receiver = wire.left.run(|| UdpSocket::bind((address, port)).unwrap());
        receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let sender = wire.right.run(|| {
            UdpSocket::bind(if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" }).unwrap()
        });
        sender.send_to(b"hello", (address, port)).unwrap();
        receiver.recv_from(&mut [0; 16]).is_ok()
    };
    for address in Wire::LEFT {
        assert!(heard(address, 7000), "{address}");
        assert!(!heard(address, 7001), "{address}");
    }
    // The last packets were on the wire before the receiver gave up waiting for them.
    capture.stop();
    let ports = capture.read(&[], "udp", &["udp.dstport"]);
    assert_eq!(ports.concat(), ["7000", "7001", "7000", "7001"]);
}
