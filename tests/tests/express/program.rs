//! The program in the kernel alone: what it replicates, and what it leaves alone.

use crate::rig::{GENERATION, PORT, Rig, heard, rtp};
use mmr::express::Outcome;
use tests::is_root;

/// Who fills in checksums: the sender's device as it leaves, the kernel before; for the publisher's and for ours.
const OFFLOADS: [(&str, &str); 4] = [("on", "on"), ("on", "off"), ("off", "on"), ("off", "off")];

fn replicates(v6: bool, train: bool) {
    if !is_root() {
        return;
    }
    for (theirs, ours) in OFFLOADS {
        let mut rig = Rig::new(v6, 40);
        rig.wire.right.command(&format!("ethtool -K wire0 tx {theirs}"));
        rig.wire.left.command(&format!("ethtool -K wire0 tx {ours}"));
        rig.serve_all();
        let packets: Vec<Vec<u8>> =
            (0..8).map(|seq| rtp(seq, if seq == 7 { 333 } else { 1_200 })).collect();
        if train {
            rig.send_train(&packets);
        } else {
            packets.iter().for_each(|packet| assert!(rig.publisher.send(packet).is_ok()));
        }
        let from = rig.router.local_addr().unwrap();
        for subscriber in &rig.subscribers {
            let heard = heard(subscriber, packets.len());
            assert_eq!(heard.len(), packets.len(), "v6 {v6}, train {train}, {theirs} {ours}");
            for ((source, bytes), packet) in heard.iter().zip(&packets) {
                assert_eq!(*source, from);
                assert!(bytes == packet, "other bytes than were sent");
            }
        }
        let original: Vec<u8> =
            heard(&rig.router, 1).into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert!(original == packets.concat(), "the original goes on, once, as it came");
        assert_eq!(rig.program.outcomes()[Outcome::Served as usize], 8);
        assert_eq!(rig.program.layer_tally(3).packets, 8);
        assert_eq!(rig.program.link_tally(0).bytes, 7 * 1_200 + 333);
        assert_eq!((from.port(), GENERATION >> 16), (PORT, 0x4d4d));
    }
}

#[test]
fn packets_reach_every_destination_over_ipv4() {
    replicates(false, false);
}

#[test]
fn packets_reach_every_destination_over_ipv6() {
    replicates(true, false);
}

#[test]
fn trains_reach_every_destination_over_ipv4() {
    replicates(false, true);
}

#[test]
fn trains_reach_every_destination_over_ipv6() {
    replicates(true, true);
}

/// Versions are swapped while packets flow; each packet finds one of them, whole.
#[test]
fn no_packet_is_served_by_half_a_version() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::new(false, 40);
    rig.serve_all();
    let (label, mut layer) = (rig.label(), rig.layer(20));
    let numbers: Vec<u32> = (1_000..1_040).collect();
    let packets = 2_000u16;
    let sender = rig.publisher.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        for seq in 0..packets {
            sender.send(&rtp(seq, 160)).unwrap();
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
    });
    let mut swaps = 0;
    while !sending.is_finished() {
        let half = swaps % 2;
        // Runs of a moment ago are left alone.
        layer.chunk = 100 + 2 * (swaps % 400);
        let run = &numbers[usize::from(half == 1) * 20..][..20];
        rig.program.write_run(&[layer.chunk, layer.chunk + 1], run).unwrap();
        rig.program.serve(&label, &layer).unwrap();
        swaps += 1;
    }
    assert!(swaps > 100, "{swaps}");
    let heard: Vec<Vec<u16>> = rig
        .subscribers
        .iter()
        .map(|it| {
            let seq = |bytes: Vec<u8>| u16::from_be_bytes([bytes[2], bytes[3]]);
            heard(it, 0).into_iter().map(|(_, bytes)| seq(bytes)).collect()
        })
        .collect();
    for half in heard.chunks(20) {
        assert!(half.iter().all(|it| *it == half[0]), "not all of a version heard the same");
    }
    let mut all = [heard[0].clone(), heard[20].clone()].concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..packets), "{} of {packets}", all.len());
}

#[test]
fn a_thousand_routes_are_changed_within_ten_milliseconds() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::new(false, 1);
    let destination = rig.destination(0);
    let began = std::time::Instant::now();
    let numbers: Vec<u32> = (1..=1_000).collect();
    for number in &numbers {
        rig.program.place(*number, &destination).unwrap();
    }
    let placed = began.elapsed();
    let chunks: Vec<u32> = (1..=67).collect();
    rig.program.write_run(&chunks, &numbers).unwrap();
    let (label, layer) = (rig.label(), rig.layer(1_000));
    rig.program.serve(&label, &layer).unwrap();
    let all = began.elapsed();
    eprintln!("1,000 destinations placed in {placed:?}, with their run in {all:?}");
    assert!(all.as_millis() < 10, "{all:?}");
}

#[test]
fn a_vlan_of_its_own_is_served_with_its_tag() {
    if !is_root() {
        return;
    }
    let wire = tests::Wire::new();
    let vlan = ["link", "add", "link", "wire0", "name", "vlan0", "type", "vlan", "id", "5"];
    let made = wire.left.run(|| std::process::Command::new("ip").args(vlan).output().unwrap());
    if !made.status.success() {
        eprintln!("left out: this kernel has no VLANs");
        return;
    }
    wire.left.command("ip link del vlan0");
    for (host, addresses) in [(&wire.left, tests::Wire::LEFT), (&wire.right, tests::Wire::RIGHT)] {
        // The addresses move from the wire to VLAN 5 on it; the wire takes another name, and the VLAN the wire's.
        host.command("ip link set wire0 down");
        host.command("ip addr flush dev wire0");
        host.command("ip link set wire0 name trunk0");
        host.command("ip link add link trunk0 name wire0 type vlan id 5");
        host.command("ip link set trunk0 up");
        host.command("ip link set wire0 up");
        host.command(&format!("ip addr add {}/24 dev wire0", addresses[0]));
    }
    let mut rig = Rig::on(wire, false, 3);
    rig.serve_all();
    let packets: Vec<Vec<u8>> = (0..4).map(|seq| rtp(seq, 500)).collect();
    rig.send_train(&packets);
    for subscriber in &rig.subscribers {
        let heard: Vec<Vec<u8>> = heard(subscriber, 4).into_iter().map(|(_, it)| it).collect();
        assert_eq!(heard, packets);
    }
}
