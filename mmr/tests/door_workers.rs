//! The door with real workers behind it: links of all three transports in one meeting.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(unreachable_pub, missing_docs, reason = "shared within a test, which nobody depends on")]

mod meeting;
#[path = "door/rig.rs"]
#[allow(dead_code, reason = "shared with the other tests of the door")]
mod rig;

use meeting::{Control, check, layer_ssrc, link_id, router_config, rtp};
use mmr::exchange::{ControlEvent, WorkerOrder};
use mmr::network::BackendChoice::{self, Poll, Uring};
use mmr::network::sockets::{self, SocketOptions};
use mmr::network::{self, Backend};
use mmr::worker::{WorkerConfig, WorkerHandle};
use rig::{Client, Plan, Rig, until};
use router::Event;
use rstest::rstest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::demux::{Class, classify};
use wire::mark::Marks;
use wire::{Kind, Transport};

const WORKERS: u8 = 2;
/// Links, and the layer of the first.
const PUBLISHER: u32 = 0;
const BY_TCP: u32 = 1;
const BY_TLS: u32 = 2;
const BY_UDP: u32 = 3;
const LAYER: u32 = 0;

struct House {
    rig: Rig,
    workers: Vec<WorkerHandle>,
    udp: SocketAddr,
}

impl House {
    fn open(choice: BackendChoice) -> Option<Self> {
        let plan = Plan { workers: usize::from(WORKERS), ..Plan::new(choice) };
        // A busy machine must not make media late here.
        let rig = plan.limits(|limits| limits.video_age = Duration::from_secs(60)).open_bare()?;
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listening =
            sockets::open(&[loopback], usize::from(WORKERS), &SocketOptions::default()).unwrap();
        let backend = match choice {
            Poll => Backend::Poll,
            Uring | BackendChoice::Auto => network::choose(choice).unwrap().backend,
        };
        let udp = listening.addresses[0];
        let workers = (0..WORKERS)
            .zip(listening.workers)
            .map(|(worker, sockets)| {
                let config = WorkerConfig {
                    core: None,
                    sockets,
                    backend,
                    router: router_config(worker, WORKERS),
                    marks: Marks::DEFAULT,
                    exchange: Arc::clone(&rig.exchange),
                };
                mmr::worker::start(config).unwrap()
            })
            .collect();
        Some(Self { rig, workers, udp })
    }

    fn each_worker(&self, each: impl Fn(Control<'_>)) {
        for worker in 0..usize::from(WORKERS) {
            each(Control { exchange: &self.rig.exchange, worker });
        }
    }

    /// A client bound to a link by a check that was answered.
    fn bound(&self, transport: Transport, link: u32) -> Client {
        let mut client = self.rig.connect(transport);
        client.send(&check(link, 1));
        let answer = client.receive().unwrap();
        assert_eq!(classify(&answer), Some(Class::Stun));
        client
    }

    /// The next event control hears that is not about something else.
    fn until_lost(&self, link: u32) {
        until("the router lets go of the link", || match self.rig.exchange.events.pop() {
            Some(ControlEvent::Router(_, Event::ConsentLost { link: lost })) => {
                lost == link_id(link)
            }
            _ => false,
        });
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.each_worker(|control| control.order(WorkerOrder::Stop));
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
    }
}

/// The next media packet of a stream connection.
fn media(client: &mut Client) -> Vec<u8> {
    loop {
        let packet = client.receive().unwrap();
        if classify(&packet) == Some(Class::Rtp) {
            return packet;
        }
    }
}

fn media_udp(client: &meeting::Client) -> Vec<u8> {
    let mut packet = [0; 2_048];
    loop {
        let len = client.socket.recv(&mut packet).unwrap();
        if classify(&packet[..len]) == Some(Class::Rtp) {
            return packet[..len].to_vec();
        }
    }
}

#[rstest]
fn media_from_tcp_reaches_tcp_tls_and_udp_unchanged(#[values(Uring, Poll)] choice: BackendChoice) {
    let Some(house) = House::open(choice) else { return };
    house.each_worker(|control| {
        (0..4).for_each(|link| control.add_link(link, Kind::Video));
        control.add_layer(LAYER, PUBLISHER, Kind::Video);
        (BY_TCP..=BY_UDP).for_each(|link| control.route(LAYER, link));
    });
    let mut udp = meeting::Client::new(BY_UDP, house.udp);
    udp.check();
    udp.hear_answer();
    let mut tcp = house.bound(Transport::Tcp, BY_TCP);
    let mut tls = house.bound(Transport::Tls, BY_TLS);
    let mut publisher = house.bound(Transport::Tcp, PUBLISHER);

    // Workers tell each other of bindings in a moment; the first packets may be too early for some.
    let settled = 100;
    for seq in 0..settled {
        publisher.send(&rtp(layer_ssrc(LAYER), seq, 100));
        std::thread::sleep(Duration::from_millis(1));
    }
    let last = rtp(layer_ssrc(LAYER), settled - 1, 100);
    while media(&mut tcp) != last {}
    while media(&mut tls) != last {}
    while media_udp(&udp) != last {}

    for seq in settled..1_100 {
        let packet = rtp(layer_ssrc(LAYER), seq, 200 + usize::from(seq % 1_000));
        publisher.send(&packet);
        for client in [&mut tcp, &mut tls] {
            assert_eq!(media(client), packet, "{seq}");
        }
        assert_eq!(media_udp(&udp), packet, "{seq}");
    }

    drop(tls);
    house.until_lost(BY_TLS);
    let last = rtp(layer_ssrc(LAYER), 1_100, 300);
    publisher.send(&last);
    assert_eq!(media(&mut tcp), last);
    assert_eq!(house.rig.open_connections(), 2);
}
