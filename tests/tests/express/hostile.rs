//! What strangers and broken machines send: refused or harmless, each in its own way.

use crate::frame::{Card, IP, PAYLOAD, UDP, frame, mend};
use crate::rig::{Rig, heard, rtp};
use mmr::express::Outcome;
use tests::is_root;
use wire::Bitrate;

/// What the program says of everything so far.
fn outcome(rig: &Rig, outcome: Outcome) -> u64 {
    let index = Outcome::ALL.iter().position(|it| *it == outcome).unwrap();
    rig.program.outcomes()[index]
}

/// How many packets each of three subscribers hears.
fn copies(rig: &Rig) -> Vec<usize> {
    rig.subscribers.iter().map(|subscriber| heard(subscriber, 1).len()).collect()
}

fn ready() -> Rig {
    let mut rig = Rig::new(false, 3);
    rig.serve_all();
    rig
}

#[test]
fn what_is_not_plain_rtp_to_a_listen_address_passes_untouched() {
    if !is_root() {
        return;
    }
    let rig = ready();
    let card = Card::of(&rig);
    let right = frame(&rig, &rtp(1, 200));
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = right.clone();
        change(&mut frame);
        frame
    };
    let mended = |change: &dyn Fn(&mut Vec<u8>)| {
        broken(&|frame| {
            change(frame);
            mend(frame);
        })
    };
    let wrong = [
        ("more fragments follow", mended(&|frame| frame[IP + 6] = 0x20)),
        ("a later fragment", mended(&|frame| frame[IP + 7] = 1)),
        ("IP options", options(&right)),
        ("another IP version", broken(&|frame| frame[IP] = 0x55)),
        ("TCP", mended(&|frame| frame[IP + 9] = 6)),
        ("an IP checksum that is wrong", broken(&|frame| frame[IP + 10] ^= 1)),
        ("UDP longer than IP", mended(&|frame| frame[UDP + 4] = 4)),
        ("UDP shorter than IP", mended(&|frame| frame[UDP + 5] -= 1)),
        ("IP longer than the frame", mended(&|frame| frame[IP + 2] = 4)),
        ("padding behind IP", broken(&|frame| frame.extend([0; 7]))),
        ("headers cut off", broken(&|frame| frame.truncate(UDP + 3))),
        ("half an RTP header", short(&rig, 11)),
        ("nothing in it", short(&rig, 0)),
        ("another port of ours", mended(&|frame| frame[UDP + 3] ^= 1)),
        ("another address", mended(&|frame| frame[IP + 19] = 99)),
        ("a spoofed source", mended(&|frame| frame[IP + 15] = 99)),
        ("a spoofed source port", mended(&|frame| frame[UDP + 1] ^= 1)),
        ("a stranger's SSRC", mended(&|frame| frame[PAYLOAD + 11] ^= 1)),
        ("STUN", mended(&|frame| frame[PAYLOAD] = 0)),
        ("DTLS", mended(&|frame| frame[PAYLOAD] = 22)),
        ("RTCP", mended(&|frame| frame[PAYLOAD + 1] = 200)),
        ("a VLAN tag", tagged(&right)),
        ("somebody else's frame", broken(&|frame| frame[5] ^= 1)),
    ];
    for (what, frame) in &wrong {
        card.send(frame);
        let served = rig.program.outcomes();
        assert_eq!(served, [0; Outcome::ALL.len()], "{what}");
    }
    assert!(rig.subscribers.iter().all(|it| heard(it, 0).is_empty()), "a copy was sent");
    // All that was wrong was what was wrong.
    card.send(&right);
    assert_eq!(copies(&rig), [1, 1, 1]);
}

/// The same with a "no operation" option.
fn options(right: &[u8]) -> Vec<u8> {
    let mut frame = [&right[..UDP], &[1; 4], &right[UDP..]].concat();
    frame[IP] = 0x46;
    frame
}

fn short(rig: &Rig, len: usize) -> Vec<u8> {
    frame(rig, &rtp(1, 12)[..len])
}

fn tagged(right: &[u8]) -> Vec<u8> {
    [&right[..12], &[0x81, 0, 0, 5], &right[12..]].concat()
}

#[test]
fn a_udp_checksum_that_is_wrong_stays_wrong() {
    if !is_root() {
        return;
    }
    let rig = ready();
    let mut frame = frame(&rig, &rtp(1, 200));
    frame[UDP + 6] ^= 1;
    Card::of(&rig).send(&frame);
    assert_eq!(outcome(&rig, Outcome::Served), 1);
    // The receivers' kernels refuse it, and so does the router's.
    assert!(rig.subscribers.iter().all(|it| heard(it, 1).is_empty()));
    assert!(heard(&rig.router, 1).is_empty());
}

#[test]
fn a_train_of_anything_but_one_layer_in_sequence_is_the_workers() {
    if !is_root() {
        return;
    }
    let rig = ready();
    let train = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut packets: Vec<Vec<u8>> = (0..4).map(|seq| rtp(seq, 300)).collect();
        change(&mut packets);
        rig.send_train(&packets);
        let original: usize = heard(&rig.router, 1).iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(original, packets.iter().map(Vec::len).sum::<usize>());
    };
    train(&|packets| packets[2][1] = 200);
    train(&|packets| packets[3][0] = 0);
    train(&|packets| packets[1][8] ^= 1);
    train(&|packets| packets.swap(2, 3));
    train(&|packets| packets[3].truncate(5));
    assert_eq!((outcome(&rig, Outcome::Mixed), outcome(&rig, Outcome::Served)), (20, 0));
}

#[test]
fn a_replay_is_left_to_the_worker() {
    if !is_root() {
        return;
    }
    let rig = ready();
    for _ in 0..3 {
        rig.publisher.send(&rtp(7, 200)).unwrap();
    }
    rig.send_train(&[rtp(6, 200), rtp(7, 200), rtp(8, 200)]);
    assert_eq!(copies(&rig), [1, 1, 1]);
    assert_eq!((outcome(&rig, Outcome::Repeated), outcome(&rig, Outcome::Served)), (5, 1));
}

#[test]
fn a_layer_over_its_rate_is_held_to_it_in_packets_and_trains() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::new(false, 3);
    rig.serve_all();
    let layer =
        mmr::express::Layer { rate: router::Rate::of_layer(Bitrate(64_000)), ..rig.layer(3) };
    let label = rig.label();
    rig.program.serve(&label, &layer).unwrap();
    // 64 KiB may come at once, then 10 kB a second.
    for train in 0..40 {
        let packets: Vec<Vec<u8>> = (0..8).map(|seq| rtp(train * 8 + seq, 1_000)).collect();
        rig.send_train(&packets);
    }
    let (served, over) = (outcome(&rig, Outcome::Served), outcome(&rig, Outcome::OverRate));
    assert_eq!(served + over, 320);
    assert!((64..96).contains(&served), "{served}");
    assert_eq!(rig.program.layer_tally(layer.index).lost, over);
}

#[test]
fn what_a_device_does_not_take_is_the_workers() {
    if !is_root() {
        return;
    }
    let mut rig = ready();
    let layer = mmr::express::Layer { size_max: 1_000, ..rig.layer(3) };
    let label = rig.label();
    rig.program.serve(&label, &layer).unwrap();
    rig.publisher.send(&rtp(1, 973)).unwrap();
    rig.publisher.send(&rtp(2, 972)).unwrap();
    assert_eq!(copies(&rig), [1, 1, 1]);
    assert_eq!(outcome(&rig, Outcome::TooLarge), 1);
}

#[test]
fn a_destination_that_is_gone_or_refused_harms_no_other() {
    if !is_root() {
        return;
    }
    let mut rig = ready();
    rig.program.displace(1_000);
    let nowhere = mmr::express::Destination { device: 0x7fff, ..rig.destination(1) };
    rig.program.place(1_001, &nowhere).unwrap();
    rig.publisher.send(&rtp(1, 200)).unwrap();
    assert_eq!(heard(&rig.subscribers[2], 1).len(), 1);
    assert_eq!(heard(&rig.router, 1).len(), 1);
    assert_eq!((outcome(&rig, Outcome::Gone), outcome(&rig, Outcome::Refused)), (1, 1));
    assert_eq!(rig.program.link_tally(1).lost, 1);
}

#[test]
fn a_destination_that_is_the_router_itself_makes_no_loop() {
    if !is_root() {
        return;
    }
    let mut rig = ready();
    let own = rig.router.local_addr().unwrap();
    let mut looping = rig.destination(0);
    // Over the wire and, if anybody sent it back, in again.
    (looping.remote, looping.to_mac) = (own, looping.from_mac);
    rig.program.place(1_000, &looping).unwrap();
    rig.wire.right.command("sysctl -qw net.ipv4.ip_forward=1");
    rig.publisher.send(&rtp(1, 200)).unwrap();
    assert_eq!(heard(&rig.subscribers[2], 1).len(), 1);
    assert_eq!(heard(&rig.router, 1).len(), 1);
    assert_eq!(outcome(&rig, Outcome::Served), 1);
}
