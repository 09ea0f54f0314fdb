//! Whole daemons with the express plane on: every packet reaches every subscriber once, whichever plane it takes.

use client::{IpChoice, TransportChoice};
use mmr::Daemon;
use mmr::dev::Dev;
use mmr::express::ExpressChoice;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::meeting::{Meeting, Seat, assert_complete, sources};
use tests::pair::Pair;
use tests::process::Process;
use tests::raw::{PATIENCE, RawChannel, RawLink};
use tests::{Capture, Wire, is_root};
use wire::control::ClientMessage;
use wire::mark::Dscp;
use wire::stats::Stats;
use wire::token::Role;
use wire::{Kind, StreamId, Transport};

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

pub(crate) fn meeting() -> Meeting {
    Meeting::start(|config| config.workers.express = ExpressChoice::On)
}

/// Copies of media that workers made.
fn sent_by_workers(stats: &Stats) -> u64 {
    stats.workers.iter().flat_map(|worker| worker.sent.values()).map(|sent| sent.packets).sum()
}

pub(crate) fn sent_by_the_kernel(stats: &Stats) -> u64 {
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

/// Waits until the kernel serves so many routes.
async fn serves(daemon: &Daemon, routes: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let express = daemon.stats().await.unwrap().express;
        if express.routes == routes {
            return;
        }
        assert!(Instant::now() < deadline, "not {routes} routes: {express:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Packets the publisher sends, `count` of them, are heard by the subscriber once each.
fn assert_each_once(pair: &mut Pair, count: usize) {
    let packets: Vec<Vec<u8>> = (0..count).map(|_| pair.next_packet()).collect();
    packets.iter().for_each(|packet| assert!(pair.publisher.socket.send(packet).is_ok()));
    let heard: Vec<Vec<u8>> = std::iter::from_fn(|| pair.subscriber.receive_rtp())
        .filter(|it| packets.contains(it))
        .collect();
    assert_eq!(heard.len(), count);
    assert!(packets.iter().all(|packet| heard.contains(packet)));
}

#[test]
fn new_marks_are_on_every_copy_from_the_reload_on() {
    if !is_root() {
        return;
    }
    let meeting = meeting();
    let mut capture = Capture::start(&meeting.wire.right, Wire::INTERFACE, "udp src port 8801");
    let mut config = meeting.config.clone();
    config.marks.audio = Dscp::new(34).unwrap();
    let tls = meeting.daemon.addresses().tls[0];
    meeting.wire.right.block_on(async {
        let mut pair = Pair::join(tls, &meeting.venue.dev, 2_000_000).await;
        serves(&meeting.daemon, 1).await;
        assert_each_once(&mut pair, 50);
        meeting.daemon.reload(&config).await.unwrap();
        assert_each_once(&mut pair, 50);
    });
    capture.stop();
    let options = ["-d", "udp.port==8801,rtp"];
    let marks = capture.read(&options, "rtp && udp.srcport == 8801", &["ip.dsfield.dscp"]).concat();
    let (before, after) = marks.split_at(marks.len() - 50);
    assert!(before.len() >= 50 && before.iter().all(|mark| mark == "46"), "{before:?}");
    assert!(after.iter().all(|mark| mark == "34"), "{after:?}");
    let stats = meeting.wire.right.block_on(meeting.daemon.stats()).unwrap();
    assert!(sent_by_the_kernel(&stats) >= 100, "{:?}", stats.express);
}

#[test]
fn five_percent_loss_both_ways_is_repaired_to_the_last_byte() {
    if !is_root() {
        return;
    }
    let meeting = meeting();
    let loss = "meta l4proto udp numgen random mod 100 < 5";
    meeting.wire.left.block(loss);
    meeting.wire.right.block(loss);
    let seats =
        [seat("one", Transport::Udp, IpChoice::V4), seat("two", Transport::Udp, IpChoice::V4)];
    let play = meeting.play(sources(), Duration::from_secs(10), &seats, async {});
    let (sent, recorded) = meeting.wire.right.block_on(play);
    for report in &recorded {
        assert_complete(&sent, &sources(), report);
        let repaired: u64 = report.streams.iter().map(|stream| stream.packets.repaired).sum();
        assert!(repaired > 10, "no packet was lost: {repaired}");
    }
    let stats = meeting.wire.right.block_on(meeting.daemon.stats()).unwrap();
    assert!(sent_by_the_kernel(&stats) > sent_by_workers(&stats), "{:?}", stats.express);
}

#[test]
fn a_link_that_moves_is_followed_and_one_that_moves_to_tcp_is_left_to_the_workers() {
    if !is_root() {
        return;
    }
    let meeting = meeting();
    let tls = meeting.daemon.addresses().tls[0];
    meeting.wire.right.block_on(async {
        let mut pair = Pair::join(tls, &meeting.venue.dev, 2_000_000).await;
        serves(&meeting.daemon, 1).await;
        assert_each_once(&mut pair, 50);
        let served = sent_by_the_kernel(&meeting.daemon.stats().await.unwrap());
        assert!(served >= 50, "{served}");
        for _ in 0..5 {
            let former = std::mem::replace(
                &mut pair.subscriber.socket,
                RawLink::socket(pair.subscriber.addresses.udp[0]),
            );
            pair.subscriber.bind();
            // The worker has answered already; control is a moment behind.
            tokio::time::sleep(Duration::from_millis(100)).await;
            former.set_nonblocking(true).unwrap();
            while former.recv(&mut [0; 2_048]).is_ok() {}
            assert_each_once(&mut pair, 50);
            assert!(former.recv(&mut [0; 2_048]).is_err(), "the former address still gets media");
            pair.publisher.socket = RawLink::socket(pair.publisher.addresses.udp[0]);
            pair.publisher.bind();
            assert_each_once(&mut pair, 50);
        }
        serves(&meeting.daemon, 1).await;
    });
}

#[test]
fn who_joins_and_leaves_disturbs_nobody() {
    if !is_root() {
        return;
    }
    let meeting = meeting();
    let tls = meeting.daemon.addresses().tls[0];
    let mut capture = Capture::start(&meeting.wire.right, Wire::INTERFACE, "udp src port 8801");
    let venue = &meeting.venue;
    let coming_and_going = async {
        for number in 0..12 {
            let token = venue.dev.token("meeting", &format!("guest-{number}"), Role::Attendee);
            let mut guest = RawChannel::join(tls, venue.dev.ca_pem(), token).await;
            for kind in Kind::ALL {
                guest.connect(kind).await.bind();
            }
            for stream in 0..3 {
                let stream = StreamId(stream);
                guest.send(&ClientMessage::Subscribe { stream, max_layer: 0 }).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let seats: Vec<Seat> =
        (0..3).map(|number| seat(&format!("udp-{number}"), Transport::Udp, IpChoice::V4)).collect();
    let play = meeting.play(sources(), Duration::from_secs(6), &seats, coming_and_going);
    let (sent, recorded) = meeting.wire.right.block_on(play);
    capture.stop();
    for report in &recorded {
        assert_complete(&sent, &sources(), report);
        let lost = report.streams.iter().map(|stream| stream.packets.lost_before_repair);
        assert_eq!(lost.sum::<u64>(), 0);
    }
    assert_once(&capture);
}

#[test]
fn two_routers_share_a_host_and_its_interface() {
    if !is_root() {
        return;
    }
    let meeting = meeting();
    let (dev, other) = meeting.wire.left.run(|| {
        let dev = Dev::temporary().unwrap();
        let mut config = dev.config();
        config.listen.addresses = Wire::left_addresses().to_vec();
        config.workers.express = ExpressChoice::On;
        let daemon = Daemon::start(config).unwrap();
        (dev, daemon)
    });
    meeting.wire.right.block_on(async {
        let tls = meeting.daemon.addresses().tls[0];
        let mut ours = Pair::join(tls, &meeting.venue.dev, 2_000_000).await;
        let mut theirs = Pair::join(other.addresses().tls[0], &dev, 2_000_000).await;
        serves(&meeting.daemon, 1).await;
        serves(&other, 1).await;
        assert_each_once(&mut ours, 50);
        assert_each_once(&mut theirs, 50);
        for daemon in [&meeting.daemon, &other] {
            let stats = daemon.stats().await.unwrap();
            assert!(sent_by_the_kernel(&stats) >= 50, "{:?}", stats.express);
        }
    });
}

#[test]
fn killed_a_router_leaves_nothing_behind() {
    if !is_root() {
        return;
    }
    let wire = Wire::new();
    let on = || wire.left.run(|| Process::start_at(&Wire::LEFT[..1], EXPRESS));
    let mut process = on();
    let stats = process.stats();
    assert!(stats.express.on, "{:?}", stats.express);
    let mut pair =
        wire.right.block_on(Pair::join(stats.addresses.tls[0], &process.venue.dev, 2_000_000));
    let deadline = Instant::now() + PATIENCE;
    while process.stats().express.routes != 1 {
        assert!(Instant::now() < deadline);
    }
    assert_each_once(&mut pair, 20);
    process.signal(Signal::SIGKILL);
    while process.is_running() {
        assert!(Instant::now() < deadline);
    }
    let packet = pair.next_packet();
    pair.publisher.socket.send(&packet).unwrap();
    assert_eq!(pair.subscriber.receive_rtp(), None, "the program is still there");
    // And another finds the place free.
    assert!(on().stats().express.on);
}

/// The first line belongs to `[workers]`, the section before.
const EXPRESS: &str = "express = \"on\"\n";
