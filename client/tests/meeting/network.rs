//! Networks that lose packets or block a transport, made of relays on another loopback address.

use crate::stage::{Stage, assert_complete, call, record, recorder};
use client::{IpChoice, JoinOptions, PublishOptions, Publisher, TransportChoice, no_progress};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use wire::Transport;

/// Where the MMR says it is, and relays listen instead.
const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn stage() -> Stage {
    Stage::with(|config| {
        config.listen.addresses = vec![Ipv4Addr::LOCALHOST.into()];
        config.listen.advertise = vec![RELAY];
    })
}

fn relayed(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(RELAY, address.port())
}

/// Passes datagrams both ways and loses some.
async fn lossy(to: SocketAddr, loss: f64, seed: u64) -> JoinHandle<()> {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let outside = Arc::new(UdpSocket::bind(relayed(to)).await.unwrap());
    tokio::spawn(async move {
        let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut packet = [0; 2_048];
        loop {
            let Ok((len, from)) = outside.recv_from(&mut packet).await else { continue };
            if let Entry::Vacant(newcomer) = clients.entry(from) {
                let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                inside.connect(to).await.unwrap();
                let back = StdRng::seed_from_u64(random.random());
                tokio::spawn(give_back(
                    Arc::clone(&inside),
                    Arc::clone(&outside),
                    from,
                    loss,
                    back,
                ));
                newcomer.insert(inside);
            }
            if !random.random_bool(loss) {
                let _ = clients[&from].send(&packet[..len]).await;
            }
        }
    })
}

async fn give_back(
    inside: Arc<UdpSocket>,
    outside: Arc<UdpSocket>,
    to: SocketAddr,
    loss: f64,
    mut random: StdRng,
) {
    let mut packet = [0; 2_048];
    loop {
        let Ok(len) = inside.recv(&mut packet).await else { continue };
        if !random.random_bool(loss) {
            let _ = outside.send_to(&packet[..len], to).await;
        }
    }
}

/// Passes connections on.
async fn relay(to: SocketAddr) -> JoinHandle<()> {
    let listener = TcpListener::bind(relayed(to)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    })
}

fn auto(stage: &Stage, participant: &str) -> JoinOptions {
    stage.join(participant, TransportChoice::Auto, IpChoice::Any)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_percent_of_loss_both_ways_are_repaired_to_the_last_byte() {
    let duration = Duration::from_secs(4);
    let stage = stage();
    let network = lossy(stage.daemon.addresses().udp[0], 0.05, rand::random()).await;
    let publisher = stage.publisher(call(), duration).await;
    let recorder = recorder(stage.udp("recorder")).await;
    let recording = record(recorder, 2).await;
    let sent = publisher.run(pending(), &no_progress()).await.unwrap();
    let report = recording.await.unwrap();
    network.abort();
    assert_complete(&report, &call(), duration);
    let repaired: u64 = report.streams.iter().map(|stream| stream.packets.repaired).sum();
    let resent: u64 = sent.streams.iter().map(|stream| stream.statistics.resent).sum();
    assert!(repaired > 0 && resent > 0, "nothing was lost: {report:?} {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_udp_ends_on_tcp_and_closed_tcp_on_tls() {
    let duration = Duration::from_millis(1_500);
    for (open, expected) in [(true, Transport::Tcp), (false, Transport::Tls)] {
        let stage = stage();
        let addresses = stage.daemon.addresses().clone();
        // Bound, so that nothing tells the client that nobody is there.
        let _silent = UdpSocket::bind(relayed(addresses.udp[0])).await.unwrap();
        let mut relays = vec![relay(addresses.tls[0]).await];
        if open {
            relays.push(relay(addresses.tcp[0]).await);
        }
        let options = PublishOptions {
            join: auto(&stage, "publisher"),
            sources: call(),
            repeat: false,
            duration: Some(duration),
        };
        let publisher = Publisher::join(options).await.unwrap();
        let recorder = recorder(auto(&stage, "recorder")).await;
        let recording = record(recorder, 2).await;
        let sent = publisher.run(pending(), &no_progress()).await.unwrap();
        let report = recording.await.unwrap();
        assert_complete(&report, &call(), duration);
        for link in sent.links.iter().chain(&report.links) {
            assert_eq!(link.transport, expected);
            let tried: Vec<Transport> =
                link.attempts.iter().map(|attempt| attempt.transport).collect();
            assert_eq!(tried.last(), Some(&expected));
            assert_eq!(tried.first(), Some(&Transport::Udp));
        }
        relays.iter().for_each(JoinHandle::abort);
    }
}
