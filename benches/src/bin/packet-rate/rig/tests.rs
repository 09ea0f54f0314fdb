//! The rig at work: everything a floor sends is counted, once, at the right port. Builds networks, so it needs root.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::floor::{self, Floor, Table};
use crate::load::{Flow, Load};
use crate::meter::{self, CoreMeter};
use crate::sink::Sink;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// One publisher and its subscribers behind a floor.
struct Scene {
    sink: Sink,
    ports: Vec<u16>,
    load: Load,
    floor_tid: u32,
}

struct Shape {
    subscribers: usize,
    packet_bytes: usize,
    frame_packets: u16,
    frames_per_s: f64,
}

impl Scene {
    fn new(rig: &Rig, floor: Floor, shape: &Shape) -> Self {
        let bind = || UdpSocket::bind((rig.load_ip(), 0)).unwrap();
        let (publisher, subscribers): (_, Vec<_>) =
            rig.at_load(|| (bind(), (0..shape.subscribers).map(|_| bind()).collect()));
        let addresses: Vec<SocketAddr> =
            subscribers.iter().map(|socket: &UdpSocket| socket.local_addr().unwrap()).collect();
        let table = Table {
            listen: (rig.router_ip(), 0).into(),
            routes: vec![(publisher.local_addr().unwrap().port(), addresses.clone())],
        };
        let (said, hears) = mpsc::channel();
        rig.spawn_at_router(move || {
            let socket = floor::open(table.listen, floor).unwrap();
            let tid = nix::unistd::gettid().as_raw().unsigned_abs();
            said.send((tid, socket.local_addr().unwrap())).unwrap();
            floor::forward(&socket, floor, &table)
        });
        let (floor_tid, router) = hears.recv().unwrap();
        publisher.connect(router).unwrap();
        let flow = Flow {
            socket: publisher,
            ssrc: 1,
            payload_type: 111,
            packet_bytes: shape.packet_bytes,
            frame_packets: shape.frame_packets,
            frames_per_s: shape.frames_per_s,
        };
        let sink = Sink::start(vec![subscribers], |body| rig.spawn_at_load(body)).unwrap();
        let ports = addresses.iter().map(SocketAddr::port).collect();
        Self { sink, ports, load: Load::new(vec![flow]).unwrap(), floor_tid }
    }
}

fn every_packet_is_counted(device: Device, floor: Floor) {
    if !is_root() {
        eprintln!("left out: only root can build networks");
        return;
    }
    let rig = Rig::new(device, 7).unwrap();
    let shape =
        Shape { subscribers: 5, packet_bytes: 1_200, frame_packets: 8, frames_per_s: 100.0 };
    let mut scene = Scene::new(&rig, floor, &shape);
    let report = rig.at_load(|| scene.load.run(1.0, Duration::from_millis(500)));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((report.packets, report.refused), (400, 0));
    let total = rig.counts().unwrap().unwrap().total();
    assert_eq!(total, Tally { packets: 2_000, bytes: 2_000 * 1_200 }, "{:?}", rig.drops());
    for port in &scene.ports {
        assert_eq!(rig.port(*port).unwrap().unwrap().packets, 400);
    }
    let seen = scene.sink.take().remove(0);
    let expected = match device {
        Device::Whole if floor == Floor::Gso => 250 / 7 * 8,
        _ => 2_000 / 7,
    };
    assert_eq!(seen.packets, expected);
    assert!(seen.latency.max() < 100_000_000, "a tenth of a second on an idle wire");
}

#[test]
fn split_packets_of_the_plain_floor_are_counted() {
    every_packet_is_counted(Device::Split, Floor::Plain);
}

#[test]
fn split_packets_of_the_gso_floor_are_counted() {
    every_packet_is_counted(Device::Split, Floor::Gso);
}

#[test]
fn whole_trains_of_the_gso_floor_are_counted() {
    every_packet_is_counted(Device::Whole, Floor::Gso);
}

#[test]
fn single_packets_into_a_whole_device_are_counted() {
    every_packet_is_counted(Device::Whole, Floor::Plain);
}

#[test]
#[ignore = "prints what the rig itself can do"]
fn what_the_rig_can_do() {
    let number = |name: &str, default: f64| {
        std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let device = if std::env::var("WHOLE").is_ok() { Device::Whole } else { Device::Split };
    let rig = Rig::new(device, 101).unwrap();
    let shape = Shape {
        subscribers: number("N", 50.0) as usize,
        packet_bytes: number("BYTES", 1_200.0) as usize,
        frame_packets: number("FRAME", 8.0) as u16,
        frames_per_s: number("FPS", 30.0),
    };
    let floor = if std::env::var("GSO").is_ok() { Floor::Gso } else { Floor::Plain };
    let mut scene = Scene::new(&rig, floor, &shape);
    std::thread::sleep(Duration::from_millis(200));
    let router = CoreMeter::start(ROUTER_CPU).unwrap();
    let pid = std::process::id();
    for rate in std::env::var("RATES").unwrap_or("10 50 100".into()).split(' ') {
        let before = rig.counts().unwrap().unwrap().total();
        let drops = rig.drops().unwrap();
        let own = meter::thread_time(pid, scene.floor_tid).unwrap();
        let reading = router.read();
        let began = Instant::now();
        let report = rig.at_load(|| scene.load.run(rate.parse().unwrap(), Duration::from_secs(2)));
        std::thread::sleep(Duration::from_millis(20));
        let end = router.read();
        let own = meter::thread_time(pid, scene.floor_tid).unwrap() - own;
        let took = began.elapsed().as_secs_f64();
        let packets = rig.counts().unwrap().unwrap().total().packets - before.packets;
        let after = rig.drops().unwrap();
        let seen = scene.sink.take().remove(0);
        let want = report.packets * shape.subscribers as u64;
        let busy = end.share_since(&reading);
        println!(
            "rate {rate}: load {:.2} limit {:?} sent {} delivered {packets} of {want} ({:.3} Mpps) own {:.0} ns core {:.0} ns busy {:.2} late p99 {} µs latency p50 {} p99 {} µs samples {} drops {:?}",
            report.busy,
            report.limit(),
            report.packets,
            packets as f64 / took / 1e6,
            own.as_nanos() as f64 / packets as f64,
            busy * took * 1e9 / packets as f64,
            busy,
            report.lateness.value_at_quantile(0.99) / 1000,
            seen.latency.value_at_quantile(0.5) / 1000,
            seen.latency.value_at_quantile(0.99) / 1000,
            seen.packets,
            (
                after.router_transmit - drops.router_transmit,
                after.router_receive - drops.router_receive,
                after.router_sockets - drops.router_sockets,
                after.load_transmit - drops.load_transmit
            ),
        );
    }
}
