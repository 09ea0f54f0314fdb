//! Whole daemons with the express plane on: every packet reaches every subscriber once, whichever plane it takes.

use client::{IpChoice, TransportChoice};
use mmr::express::ExpressChoice;
use std::collections::BTreeMap;
use std::time::Duration;
use tests::meeting::{Meeting, Seat, assert_complete, sources};
use tests::{Capture, Wire, is_root};
use wire::Transport;
use wire::stats::Stats;

fn seat(name: &str, transport: Transport, ip: IpChoice) -> Seat {
    Seat { name: name.to_owned(), transport: TransportChoice::Only(transport), ip }
}

/// Most of them where the kernel can serve them; two where it can't.
fn seats() -> Vec<Seat> {
    let mut seats: Vec<Seat> =
        (0..4).map(|number| seat(&format!("udp-{number}"), Transport::Udp, IpChoice::V4)).collect();
    // The publisher is on IPv4.
    seats.push(seat("udp-v6", Transport::Udp, IpChoice::V6));
    seats.push(seat("tcp", Transport::Tcp, IpChoice::V4));
    seats
}

fn meeting() -> Meeting {
    Meeting::start(|config| config.workers.express = ExpressChoice::On)
}

/// Copies of media that workers made.
fn sent_by_workers(stats: &Stats) -> u64 {
    stats.workers.iter().flat_map(|worker| worker.sent.values()).map(|sent| sent.packets).sum()
}

fn sent_by_the_kernel(stats: &Stats) -> u64 {
    stats.express.sent.values().map(|sent| sent.packets).sum()
}

/// How often each packet of media left for each address: 1, once it did at all.
fn assert_once(capture: &Capture) {
    let fields = ["ip.dst", "ipv6.dst", "udp.dstport", "rtp.ssrc", "rtp.seq"];
    let options = ["-d", "udp.port==8801,rtp"];
    let packets = capture.read(&options, "rtp && udp.srcport == 8801", &fields);
    assert!(packets.len() > 1_000, "{}", packets.len());
    let mut counts = BTreeMap::<Vec<String>, usize>::new();
    packets.into_iter().for_each(|packet| *counts.entry(packet).or_default() += 1);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(twice.is_empty(), "sent more than once: {twice:?}");
}

#[test]
fn a_meeting_on_both_planes_is_recorded_to_the_last_byte_and_sent_once() {
    if !is_root() {
        return;
    }
    let meeting = meeting();
    let mut capture = Capture::start(&meeting.wire.right, Wire::INTERFACE, "src port 8801");
    let mut during = None;
    let look = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        during = Some(meeting.daemon.stats().await.unwrap());
    };
    let seats = seats();
    let play = meeting.play(sources(), Duration::from_secs(4), &seats, look);
    let (sent, recorded) = meeting.wire.right.block_on(play);
    capture.stop();
    for report in &recorded {
        assert_complete(&sent, &sources(), report);
        for stream in &report.streams {
            assert_eq!(stream.packets.duplicates, 0, "{:?}", stream.packets);
        }
    }
    let during = during.unwrap();
    assert_once(&capture);
    assert!(during.express.on, "{:?}", during.express);
    // Four of six subscribers, three streams, one layer each.
    assert_eq!((during.express.layers, during.express.routes), (3, 12), "{:?}", during.express);
    let end = meeting.wire.right.block_on(meeting.daemon.stats()).unwrap();
    let (kernel, workers) = (sent_by_the_kernel(&end), sent_by_workers(&end));
    assert!(kernel > workers, "{kernel} by the kernel, {workers} by workers");
    assert_eq!(end.express.outcomes.get("no_memory"), None);
}
