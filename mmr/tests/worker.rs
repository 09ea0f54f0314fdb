//! A worker among the other threads: what it takes from their queues, what it leaves in them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod meeting;

use meeting::{Control, check, layer_ssrc, link_id, router_config, rtp};
use mmr::exchange::{ControlEvent, Exchange, StreamArrival, WorkerOrder};
use mmr::network::simulated::SimulatedNetwork;
use mmr::network::sockets::{self, SocketOptions};
use mmr::network::{Backend, Inbox};
use mmr::packet::SLOT_LEN;
use mmr::report::WorkerReport;
use mmr::worker::{self, Flow, Worker, WorkerConfig, WorkerHandle};
use router::{ConnectionId, DropReason, Event, Path, PeerMessage, WorkerId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wire::mark::Marks;
use wire::{Kind, Transport};

const PATIENCE: Duration = Duration::from_secs(10);
const PUBLISHER: u32 = 0;
const SUBSCRIBER: u32 = 1;

/// A worker on the test's own thread, in a network that is put in by hand.
fn turned_by_hand() -> (Worker<SimulatedNetwork>, Arc<Exchange>) {
    let now = Instant::now();
    let exchange = Arc::new(Exchange::new(3, now).unwrap());
    let waker = exchange.workers[0].waker.fd().try_clone_to_owned().unwrap();
    let socket = "192.0.2.1:8801".parse().unwrap();
    let network = SimulatedNetwork::new(now, &[socket], 64, Marks::DEFAULT, waker);
    let (inbox, router) = (Inbox::new(64, SLOT_LEN), router_config(0, 3));
    let worker = Worker::new(network, inbox, router, Arc::clone(&exchange));
    let control = Control { exchange: &exchange, worker: 0 };
    control.add_link(PUBLISHER, Kind::Video);
    control.add_link(SUBSCRIBER, Kind::Video);
    control.add_layer(0, PUBLISHER, Kind::Video);
    control.route(0, SUBSCRIBER);
    (worker, exchange)
}

fn connection(number: u64) -> Path {
    let (connection, transport) = (ConnectionId(number), Transport::Tls);
    Path::Stream { connection, transport, remote: "198.51.100.7:55000".parse().unwrap() }
}

fn arrive(exchange: &Exchange, path: Path, packet: &[u8]) {
    let mut buffer = exchange.door.free.pop().unwrap();
    buffer.fill(packet).unwrap();
    let arrival = StreamArrival::Packet { path, buffer, heard_at: Instant::now() };
    assert!(exchange.workers[0].inbox.push(arrival).is_ok());
}

fn report(worker: &mut Worker<SimulatedNetwork>, exchange: &Exchange) -> Box<WorkerReport> {
    let order = WorkerOrder::Report(Box::new(WorkerReport::new(WorkerId(9))));
    Control { exchange, worker: 0 }.order(order);
    worker.turn().unwrap();
    let mut events = std::iter::from_fn(|| exchange.events.pop());
    let report = events.find_map(|event| match event {
        ControlEvent::Report(report) => Some(report),
        _ => None,
    });
    report.unwrap()
}

#[test]
fn packets_of_tls_links_come_from_the_door_and_go_back_to_it() {
    let (mut worker, exchange) = turned_by_hand();
    arrive(&exchange, connection(1), &check(PUBLISHER, 1));
    arrive(&exchange, connection(2), &check(SUBSCRIBER, 2));
    let media = rtp(layer_ssrc(0), 1, 900);
    arrive(&exchange, connection(1), &media);
    worker.turn().unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| exchange.door.outgoing.pop()).collect();
    let to: Vec<_> = sent.iter().map(|packet| packet.connection.0).collect();
    assert_eq!(to[..2], [1, 2], "both checks are answered first");
    let forwarded = sent.iter().find(|packet| packet.buffer.packet() == media).unwrap();
    assert_eq!((forwarded.connection.0, forwarded.kind), (2, Kind::Video));
    let mut events = std::iter::from_fn(|| exchange.events.pop());
    let bound = |event: ControlEvent| match event {
        ControlEvent::Router(WorkerId(0), Event::Bound { link, path, .. }) => Some((link, path)),
        _ => None,
    };
    assert_eq!(events.find_map(bound), Some((link_id(PUBLISHER), connection(1))));
}

#[test]
fn when_the_door_has_no_buffer_left_packets_are_counted() {
    let (mut worker, exchange) = turned_by_hand();
    let control = Control { exchange: &exchange, worker: 0 };
    control.add_link(2, Kind::Video);
    control.route(0, 2);
    for link in [PUBLISHER, SUBSCRIBER, 2] {
        arrive(&exchange, connection(link.into()), &check(link, 1));
    }
    worker.turn().unwrap();
    arrive(&exchange, connection(PUBLISHER.into()), &rtp(layer_ssrc(0), 1, 900));
    while exchange.door.free.pop().is_some() {}
    // The packet's own buffer comes back, for one of the two it is to be sent to.
    worker.turn().unwrap();
    assert_eq!(report(&mut worker, &exchange).drops.of(DropReason::StreamQueueFull), 1);
}

#[test]
fn what_all_workers_must_know_goes_to_all_others() {
    let (mut worker, exchange) = turned_by_hand();
    arrive(&exchange, connection(1), &check(PUBLISHER, 1));
    worker.turn().unwrap();
    for other in 1..3 {
        let message = exchange.workers[other].peers.pop().unwrap();
        let PeerMessage::Bound { link, path, worker, .. } = message else {
            panic!("{message:?}");
        };
        assert_eq!((link, path, worker), (link_id(PUBLISHER), connection(1), WorkerId(0)));
    }
    assert!(exchange.workers[0].peers.is_empty(), "not to itself");
}

#[test]
fn a_full_queue_of_another_worker_is_counted() {
    let (mut worker, exchange) = turned_by_hand();
    while exchange.workers[1].peers.push(PeerMessage::Pli { layer: meeting::layer_id(0) }).is_ok() {
    }
    arrive(&exchange, connection(1), &check(PUBLISHER, 1));
    worker.turn().unwrap();
    let report = report(&mut worker, &exchange);
    assert_eq!(report.drops.of(DropReason::PeerQueueFull), 1);
    assert_eq!(exchange.workers[2].peers.len(), 1, "the other one was told");
}

#[test]
fn a_report_says_who_and_how_many() {
    let (mut worker, exchange) = turned_by_hand();
    arrive(&exchange, connection(1), &check(PUBLISHER, 1));
    let report = report(&mut worker, &exchange);
    assert_eq!(report.worker, WorkerId(0));
    let next = self::report(&mut worker, &exchange);
    assert_eq!(next.counters.stun, 1);
    assert_eq!(next.turns, report.turns + 1);
    assert!(next.busy_ns > report.busy_ns);
    assert_eq!(next.latency_us.len(), 1, "one arrival caused something to be sent");
}

#[test]
fn more_orders_than_a_turn_takes_are_carried_out_in_the_next() {
    let (mut worker, exchange) = turned_by_hand();
    let control = Control { exchange: &exchange, worker: 0 };
    for _ in 0..1_500 {
        control.unroute(0, SUBSCRIBER);
        control.route(0, SUBSCRIBER);
    }
    control.order(WorkerOrder::Stop);
    let mut turns = 1;
    while worker.turn().unwrap() == Flow::Continue {
        turns += 1;
    }
    assert_eq!(turns, 3, "3,005 orders, 1,024 a turn");
}

fn started(core: Option<usize>) -> (WorkerHandle, Arc<Exchange>) {
    let exchange = Arc::new(Exchange::new(1, Instant::now()).unwrap());
    let listen = ["127.0.0.1:0".parse().unwrap()];
    let mut listening = sockets::open(&listen, 1, &SocketOptions::default()).unwrap();
    let config = WorkerConfig {
        core,
        sockets: listening.workers.remove(0),
        backend: Backend::Poll,
        router: router_config(0, 1),
        marks: Marks::DEFAULT,
        exchange: Arc::clone(&exchange),
    };
    (worker::start(config).unwrap(), exchange)
}

fn stop(handle: WorkerHandle, exchange: &Exchange) {
    Control { exchange, worker: 0 }.order(WorkerOrder::Stop);
    handle.join().unwrap();
}

#[test]
fn a_sleeping_worker_is_woken_by_an_order() {
    let (handle, exchange) = started(None);
    let begin = Instant::now();
    for _ in 0..100 {
        let order = WorkerOrder::Report(Box::new(WorkerReport::new(WorkerId(0))));
        Control { exchange: &exchange, worker: 0 }.order(order);
        while exchange.events.pop().is_none() {
            std::thread::yield_now();
        }
    }
    // Without being woken it would look at its queues every 250 ms only: 25 s.
    assert!(begin.elapsed() < PATIENCE);
    stop(handle, &exchange);
}

#[test]
fn a_worker_without_traffic_shows_that_it_lives() {
    let (handle, exchange) = started(None);
    let beat = || exchange.workers[0].heartbeat_ms.load(Ordering::Relaxed);
    let (first, deadline) = (beat(), Instant::now() + PATIENCE);
    while beat() == first {
        assert!(Instant::now() < deadline, "no heartbeat");
        std::thread::yield_now();
    }
    assert!(!handle.is_finished());
    stop(handle, &exchange);
}

#[test]
fn a_worker_says_whether_it_is_pinned() {
    let cores = core_affinity::get_core_ids().unwrap();
    for (core, pinned) in [(None, false), (Some(cores[0].id), true), (Some(1 << 20), false)] {
        let (handle, exchange) = started(core);
        assert_eq!(handle.pinned(), pinned, "{core:?}");
        stop(handle, &exchange);
    }
}
