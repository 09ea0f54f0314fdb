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
