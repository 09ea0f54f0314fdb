//! What the kernel refuses: a full send buffer, trains a path cannot take. Loopback as it is never
//! does, so the real networks run in a network namespace of their own here.

use crate::bed::{Bed, Family, Options, Which, packet, train};
use mmr::network::sockets::SocketOptions;
use router::{DropReason, LinkChange, Path};
use rstest::rstest;
use std::process::Command;
use wire::Kind;

/// Set in the child: which network to test.
const CHILD: &str = "MMR_TEST_NETWORK";

#[rstest]
#[case::uring("uring")]
#[case::poll("poll")]
fn a_full_send_buffer_drops_and_says_so(#[case] which: &str) {
    // Packets to a neighbour that does not answer ARP wait for it, and fill the buffer.
    let setup = "ip link add up0 type veth peer name silent0 && ip addr add 192.0.2.1/24 dev up0 \
                 && ip link set up0 up && ip link set silent0 up";
    in_a_namespace(setup, which, "full::fill_the_send_buffer");
}

#[test]
#[ignore = "run by a_full_send_buffer_drops_and_says_so, in a namespace"]
fn fill_the_send_buffer() {
    let sockets = SocketOptions { send_buffer_bytes: 5_000, ..SocketOptions::default() };
    let address = Some("192.0.2.1".parse().unwrap());
    let mut bed =
        Bed::with(of_child(), Family::V4, Options { sockets, address, ..Options::default() });
    let path = Path::Udp { socket: 0, remote: "192.0.2.99:9".parse().unwrap() };
    bed.apply(LinkChange::Bind { link: 0, kind: Kind::Video, path }).unwrap();
    for _ in 0..100 {
        bed.reply(0, Kind::Video, &[1; 1_000]);
    }
    bed.transmit();
    let dropped = bed.drops.of(DropReason::SendBufferFull);
    assert!((80..100).contains(&dropped), "{dropped} dropped");
    assert_eq!(bed.drops.total(), dropped);
}

#[test]
fn the_simulated_one_drops_and_says_so() {
    let mut bed = Bed::new(Which::Simulated, Family::V4);
    bed.bind(0, Kind::Video);
    bed.limit_sends(3);
    for _ in 0..5 {
        bed.reply(0, Kind::Video, b"packet");
    }
    bed.transmit();
    assert_eq!(bed.drops.of(DropReason::SendBufferFull), 2);
}

#[rstest]
#[case::uring("uring")]
#[case::poll("poll")]
fn a_path_that_refuses_trains_gets_single_packets(#[case] which: &str) {
    // Trains of packets above the MTU are refused, and so are such packets alone; a train's short last one is not.
    in_a_namespace("ip link set lo up mtu 1300", which, "full::refuse_trains");
}

#[test]
#[ignore = "run by a_path_that_refuses_trains_gets_single_packets, in a namespace"]
fn refuse_trains() {
    for family in [Family::V4, Family::V6] {
        let mut bed = Bed::new(of_child(), family);
        let mut packets: Vec<_> = (0..39).map(|n| packet(n, 1_400)).collect();
        packets.push(packet(39, 200));
        bed.bind(0, Kind::Video);
        bed.bind(1, Kind::Video);
        for round in 1..=2 {
            bed.arrive(&train(&packets));
            bed.receive();
            bed.forward(0, 0, Kind::Video, 1_400);
            bed.forward(0, 1, Kind::Video, 1_400);
            bed.transmit();
            for _ in 0..2 {
                assert!(bed.heard().0 == packets[39], "{family:?}, round {round}");
            }
            assert_eq!(bed.drops.of(DropReason::SendFailed), round * 2 * 39);
            // Bound again to the same path, it is known to take no trains.
            bed.bind(0, Kind::Video);
        }
        assert_eq!(bed.counters().gso_refused, 2, "each of the two links once");
        assert_eq!(bed.drops.total(), bed.drops.of(DropReason::SendFailed));
    }
}

/// Runs one of the ignored tests in a network namespace of its own, as an ordinary user may.
fn in_a_namespace(setup: &str, which: &str, test: &str) {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c"])
        .args([&format!("{setup} && exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", test])
        .env(CHILD, which)
        .output()
        .expect("unshare, of util-linux");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn of_child() -> Which {
    match std::env::var(CHILD).as_deref() {
        Ok("uring") => Which::Uring,
        Ok("poll") => Which::Poll,
        other => panic!("{CHILD} is {other:?}"),
    }
}
