//! The rig at work: everything a floor sends is counted, once, at the right port. Builds networks, so it needs root.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::floor::{self, Floor, Table};
use crate::load::{Flow, Load};
use crate::sink::Sink;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

/// One publisher and its subscribers behind a floor.
struct Scene {
    sink: Sink,
    ports: Vec<u16>,
    load: Load,
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
            said.send(socket.local_addr().unwrap()).unwrap();
            floor::forward(&socket, floor, &table)
        });
        let router: SocketAddr = hears.recv().unwrap();
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
        Self { sink, ports, load: Load::new(vec![flow]).unwrap() }
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
