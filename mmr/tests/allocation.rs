//! After start a worker's turn allocates nothing: allocation-counter sees a million packets through.
//!
//! The test's own thread is the worker. Publishers, subscribers, another worker, the door and
//! control are another thread, whose allocations do not count.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod meeting;

use allocation_counter::measure;
use meeting::{Client, Control, check, layer_ssrc, link_id, router_config, rtp};
use mmr::exchange::{ControlEvent, Exchange, StreamArrival, WorkerOrder};
use mmr::network::poll::PollNetwork;
use mmr::network::sockets::{self, SocketOptions};
use mmr::network::uring::UringNetwork;
use mmr::network::{Inbox, Network, NetworkConfig};
use mmr::packet::{SLOT_LEN, SLOTS};
use mmr::report::WorkerReport;
use mmr::worker::{Flow, Worker};
use router::{ConnectionId, Path, PeerMessage, WorkerId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::mark::Marks;
use wire::{Kind, Seq, Transport};

/// Packets the worker must have taken.
const PACKETS: u64 = 1_000_000;
/// Publishers heard here, and the layers of all of them: so many that none goes over its rate.
const PUBLISHERS: u32 = 4;
const LAYERS: u32 = PUBLISHERS * 8;
/// A layer of a publisher that the other worker hears.
const FAR_LAYER: u32 = LAYERS;
/// Packets of a train, and the size of each.
const TRAIN: u16 = 32;
const PACKET_LEN: usize = 100;

/// Links; the publishers' come first.
const SUBSCRIBER: u32 = PUBLISHERS;
const SUBSCRIBER_V6: u32 = PUBLISHERS + 1;
const STREAM_SUBSCRIBER: u32 = PUBLISHERS + 2;
const FAR_PUBLISHER: u32 = PUBLISHERS + 3;

#[test]
fn a_million_packets_through_io_uring_allocate_nothing() {
    turns_allocate_nothing(|config, slots| {
        UringNetwork::new(config, slots).expect("this test needs io_uring")
    });
}

#[test]
fn a_million_packets_through_epoll_allocate_nothing() {
    turns_allocate_nothing(|config, _| PollNetwork::new(config).unwrap());
}

fn turns_allocate_nothing<N: Network>(network: impl FnOnce(NetworkConfig, u16) -> N) {
    let exchange = Arc::new(Exchange::new(2, Instant::now()).unwrap());
    let listen = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let mut listening = sockets::open(&listen, 1, &SocketOptions::default()).unwrap();
    let config = NetworkConfig {
        sockets: listening.workers.remove(0),
        waker: exchange.workers[0].waker.fd().try_clone_to_owned().unwrap(),
        links: 64,
        marks: Marks::DEFAULT,
    };
    let inbox = Inbox::new(SLOTS, SLOT_LEN);
    let network = network(config, SLOTS);
    let router = router_config(0, 2);
    let mut worker = Worker::new(network, inbox, router, Arc::clone(&exchange));

    let world = World::new(exchange, &listening.addresses);
    let (accepted, stop) = (Arc::clone(&world.accepted), Arc::clone(&world.stop));
    let world = thread::spawn(move || world.run());
    let counted = measure(|| drop(std::hint::black_box(Box::new(0)))).count_total;
    assert_eq!(counted, 1, "the counting counts");
    let deadline = Instant::now() + Duration::from_secs(120);
    let allocations = measure(|| {
        while accepted.load(Ordering::Relaxed) < PACKETS && !world.is_finished() {
            assert_eq!(worker.turn().unwrap(), Flow::Continue);
            assert!(
                Instant::now() < deadline,
                "{} packets in two minutes",
                accepted.load(Ordering::Relaxed)
            );
        }
    });
    stop.store(true, Ordering::Relaxed);
    let seen = world.join().unwrap();
    assert_eq!(allocations.count_total, 0, "allocations in the worker's turns");
    seen.check();
}

/// Everything around the worker.
struct World {
    exchange: Arc<Exchange>,
    publishers: Vec<Client>,
    subscriber: Client,
    subscriber_v6: Client,
    seq: u16,
    round: u64,
    accepted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    seen: Seen,
}

/// What the world saw of the worker: that it did what it was to do without allocating.
#[derive(Default)]
struct Seen {
    report: Option<Box<WorkerReport>>,
    far_nacks: u64,
    far_plis: u64,
    far_bounds: u64,
    streamed: u64,
    events: u64,
}

impl Seen {
    fn check(&self) {
        let report = self.report.as_ref().unwrap();
        let counters = &report.counters;
        assert!(counters.received[Kind::Video.index()].packets >= PACKETS);
        assert!(counters.sent[Kind::Video.index()].packets >= 2 * PACKETS);
        assert!(counters.stun > 100, "{} checks answered", counters.stun);
        assert!(counters.rtcp > 100, "{} feedback packets taken", counters.rtcp);
        assert!(counters.retransmitted > 100, "{} packets sent again", counters.retransmitted);
        assert!(self.far_nacks > 10, "{} NACKs for the other worker", self.far_nacks);
        assert!(self.far_plis > 0, "{} PLIs for the other worker", self.far_plis);
        // Told at most so often a second: a faster machine tells fewer in a million packets.
        assert!(self.far_bounds > 5, "{} bindings told", self.far_bounds);
        assert!(self.streamed > 1_000, "{} packets for the door", self.streamed);
        assert!(self.events > 0);
        assert!(report.trains.max() >= u64::from(TRAIN), "trains were received whole");
    }
}

impl World {
    fn new(exchange: Arc<Exchange>, addresses: &[SocketAddr]) -> Self {
        let control = Control { exchange: &exchange, worker: 0 };
        for link in 0..=FAR_PUBLISHER {
            control.add_link(link, Kind::Video);
        }
        for layer in 0..LAYERS {
            control.add_layer(layer, layer / 8, Kind::Video);
            control.route(layer, SUBSCRIBER);
            control.route(layer, SUBSCRIBER_V6);
        }
        control.route(0, STREAM_SUBSCRIBER);
        control.add_layer(FAR_LAYER, FAR_PUBLISHER, Kind::Video);
        control.route(FAR_LAYER, SUBSCRIBER);
        Self {
            publishers: (0..PUBLISHERS).map(|link| Client::new(link, addresses[0])).collect(),
            subscriber: Client::new(SUBSCRIBER, addresses[0]),
            subscriber_v6: Client::new(SUBSCRIBER_V6, addresses[1]),
            exchange,
            seq: 0,
            round: 0,
            accepted: Arc::default(),
            stop: Arc::default(),
            seen: Seen::default(),
        }
    }

    fn run(mut self) -> Seen {
        self.bind();
        self.publishers.iter_mut().for_each(Client::hear_answer);
        while !self.stop.load(Ordering::Relaxed) {
            self.publish();
            self.ask_again();
            self.talk_as_others();
            if self.round.is_multiple_of(16) {
                self.bind();
                self.order();
            }
            self.hear();
            self.round += 1;
        }
        self.seen
    }

    /// Checks of all links: by datagrams, by a connection, and by what the other worker heard.
    fn bind(&mut self) {
        self.publishers.iter_mut().for_each(Client::check);
        self.subscriber.check();
        self.subscriber_v6.check();
        self.stream(&check(STREAM_SUBSCRIBER, self.round));
        let remote = "127.0.0.1:9".parse().unwrap();
        let path = Path::Udp { socket: 0, remote };
        let (link, worker, at) = (link_id(FAR_PUBLISHER), WorkerId(1), Instant::now());
        self.tell(PeerMessage::Bound { link, path, worker, at });
    }

    /// A train of each layer, and a little garbage.
    fn publish(&mut self) {
        for layer in 0..LAYERS {
            let packets = (0..TRAIN).map(|n| self.seq.wrapping_add(n));
            let packets = packets.map(|seq| rtp(layer_ssrc(layer), seq, PACKET_LEN));
            let train = packets.collect::<Vec<_>>().concat();
            let publisher = &self.publishers[layer as usize / 8];
            publisher.send_train(&train, u16::try_from(PACKET_LEN).unwrap());
        }
        self.publishers[0].send(b"garbage");
        self.publishers[0].send(b"");
        self.publishers[0].send(&[0x80; 9_000]);
        // Every 64th round leaves a gap: the router asks for it, in vain.
        let gap = if self.round.is_multiple_of(64) { 3 } else { 0 };
        self.seq = self.seq.wrapping_add(TRAIN + gap);
    }

    /// Feedback: for what was just sent, for what the other worker hears, and about nothing.
    fn ask_again(&mut self) {
        let recent = Seq(self.seq.wrapping_sub(20));
        self.subscriber.send_nack(layer_ssrc(3), recent);
        self.subscriber_v6.send_nack(layer_ssrc(4), recent);
        self.subscriber.send_nack(layer_ssrc(FAR_LAYER), recent);
        self.subscriber.send_pli(layer_ssrc(FAR_LAYER));
        self.subscriber_v6.send_pli(layer_ssrc(5));
        self.subscriber.send_nack(layer_ssrc(77), recent);
    }

    /// What the other worker and a connection that just closed have to say.
    fn talk_as_others(&mut self) {
        self.tell(PeerMessage::Pli { layer: meeting::layer_id(1) });
        let path = stream_path(ConnectionId(2));
        let closed = StreamArrival::Closed { path };
        assert!(self.exchange.workers[0].inbox.push(closed).is_ok());
    }

    fn tell(&self, message: PeerMessage) {
        let port = &self.exchange.workers[0];
        // A full queue loses it, as it would a worker's.
        let _ = port.peers.push(message);
        port.waker.wake();
    }

    /// As the door does.
    fn stream(&self, packet: &[u8]) {
        let Some(mut buffer) = self.exchange.door.free.pop() else { return };
        buffer.fill(packet).unwrap();
        let path = stream_path(ConnectionId(1));
        let packet = StreamArrival::Packet { path, buffer, heard_at: Instant::now() };
        assert!(self.exchange.workers[0].inbox.push(packet).is_ok());
        self.exchange.workers[0].waker.wake();
    }

    fn order(&self) {
        let control = Control { exchange: &self.exchange, worker: 0 };
        control.unroute(0, SUBSCRIBER);
        control.route(0, SUBSCRIBER);
        control.order(WorkerOrder::Report(Box::new(WorkerReport::new(WorkerId(0)))));
    }

    /// Takes what the worker says, and waits when it lags far behind.
    fn hear(&mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            while let Some(event) = self.exchange.events.pop() {
                match event {
                    ControlEvent::Report(report) => {
                        let received = report.counters.received[Kind::Video.index()].packets;
                        self.accepted.store(received, Ordering::Relaxed);
                        self.seen.report = Some(report);
                    }
                    _ => self.seen.events += 1,
                }
            }
            while let Some(message) = self.exchange.workers[1].peers.pop() {
                match message {
                    PeerMessage::Nack { .. } => self.seen.far_nacks += 1,
                    PeerMessage::Pli { .. } => self.seen.far_plis += 1,
                    PeerMessage::Bound { .. } => self.seen.far_bounds += 1,
                    _ => {}
                }
            }
            while let Some(packet) = self.exchange.door.outgoing.pop() {
                self.seen.streamed += 1;
                self.exchange.door.give_back(packet.buffer);
            }
            // The worker empties its queues when it takes its turn: then it has had the datagrams
            // before as well.
            if !self.exchange.workers[0].has_waiting() {
                return;
            }
            thread::yield_now();
        }
    }
}

fn stream_path(connection: ConnectionId) -> Path {
    let remote = "127.0.0.1:7".parse().unwrap();
    Path::Stream { connection, transport: Transport::Tcp, remote }
}
