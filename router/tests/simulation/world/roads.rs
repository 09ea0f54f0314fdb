//! How packets travel: datagrams that are lost, doubled and overtaken, and connections that keep their order.

use super::{Happening, World};
use crate::client::{Road, Sending, State};
use crate::liar::Forgery;
use crate::worker::{Expect, Inbound};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use router::{ConnectionId, Path};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use wire::{Kind, Transport};

/// The network between clients and workers.
pub(super) struct Roads {
    loss: f64,
    duplication: f64,
    delay_max: Duration,
    /// How often a burst is heard as one train.
    trains: f64,
    /// Who listens at an address now.
    addresses: BTreeMap<SocketAddr, (usize, Kind)>,
    pub(super) connections: BTreeMap<u64, Connection>,
    ports: u16,
}

pub(super) struct Connection {
    client: usize,
    kind: Kind,
    transport: Transport,
    remote: SocketAddr,
    pub(super) is_open: bool,
    /// An MMR's answer came over it: it is a link's.
    pub(super) is_authenticated: bool,
    /// When the last packet arrives, by direction.
    clocks: [Instant; 2],
}

impl Roads {
    pub(super) fn new(random: &mut ChaCha20Rng) -> Self {
        Self {
            loss: [0.0, 0.02, 0.1, 0.25][random.random_range(0..4)],
            duplication: [0.0, 0.05][random.random_range(0..2)],
            delay_max: Duration::from_millis(random.random_range(2..60)),
            trains: random.random_range(0.0..1.0),
            addresses: BTreeMap::new(),
            connections: BTreeMap::new(),
            ports: 2_000,
        }
    }

    /// Nothing is lost or doubled from now on.
    pub(super) fn mend(&mut self) {
        self.loss = 0.0;
        self.duplication = 0.0;
        self.delay_max = Duration::from_millis(5);
    }

    /// When the copies of a packet arrive: none, one or two.
    fn fates(&self, now: Instant, random: &mut ChaCha20Rng) -> Vec<Instant> {
        if random.random_bool(self.loss) {
            return Vec::new();
        }
        let copies = 1 + usize::from(random.random_bool(self.duplication));
        (0..copies).map(|_| now + self.delay_max.mul_f64(random.random_range(0.1..1.0))).collect()
    }

    fn address(&mut self, client: usize) -> SocketAddr {
        self.ports += 1;
        let host = u8::try_from(client).unwrap();
        let ip = if client.is_multiple_of(3) {
            IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host)])
        } else {
            IpAddr::from([10, 0, 0, host])
        };
        SocketAddr::new(ip, self.ports)
    }
}

fn path_of(remote: SocketAddr) -> Path {
    Path::Udp { socket: u8::from(remote.is_ipv6()), remote }
}

impl World {
    /// Gives a client's link a new address; the old one is nobody's.
    pub(super) fn move_address(&mut self, client: usize, kind: Kind, knows: bool) {
        let address = self.roads.address(client);
        self.roads.addresses.insert(address, (client, kind));
        let Some(link) = self.clients[client].links.get_mut(&kind) else { return };
        let before = std::mem::replace(&mut link.road, Road::None);
        link.move_to(Road::Udp(address), knows);
        self.abandon(before);
        self.story.moves += 1;
    }

    pub(super) fn connect_stream(&mut self, client: usize, kind: Kind) {
        let number = self.roads.connections.len() as u64;
        let transport = if self.random.random() { Transport::Tcp } else { Transport::Tls };
        let connection = Connection {
            client,
            kind,
            transport,
            remote: self.roads.address(client),
            is_open: true,
            is_authenticated: false,
            clocks: [self.now; 2],
        };
        self.roads.connections.insert(number, connection);
        let Some(link) = self.clients[client].links.get_mut(&kind) else { return };
        let before = std::mem::replace(&mut link.road, Road::None);
        link.move_to(Road::Stream(ConnectionId(number)), true);
        self.abandon(before);
        self.story.connections += 1;
    }

    /// What a link travelled on before.
    pub(super) fn abandon(&mut self, road: Road) {
        match road {
            Road::Udp(address) => {
                self.roads.addresses.remove(&address);
            }
            // Some clients close what they left, others leave it to the MMR.
            Road::Stream(connection) if self.random.random() => self.close_stream(connection.0),
            Road::Stream(_) | Road::None => {}
        }
    }

    /// Closes a connection, from either end: its worker hears of it.
    pub(super) fn close_stream(&mut self, number: u64) {
        let now = self.now;
        let workers = self.workers.len() as u64;
        let connection = self.roads.connections.get_mut(&number).unwrap();
        if !std::mem::replace(&mut connection.is_open, false) {
            return;
        }
        let inbound = Inbound::Closed(connection.path(number));
        let at = connection.clocks[0].max(now);
        let worker = usize::try_from(number % workers).unwrap();
        self.schedule.add(at, Happening::Arrive { worker, inbound });
        self.schedule.add(now, Happening::ConnectionClosed(number));
    }

    pub(super) fn connection_closed(&mut self, number: u64) {
        let connection = &self.roads.connections[&number];
        let road = Road::Stream(ConnectionId(number));
        let link = self.clients[connection.client].links.get_mut(&connection.kind);
        if let Some(link) = link.filter(|link| link.road == road) {
            link.move_to(Road::None, true);
        }
    }

    pub(super) fn send_all(&mut self, client: usize, sendings: Vec<Sending>) {
        for Sending { kind, packets } in sendings {
            self.send(client, kind, packets);
        }
    }

    /// Sends a client's packets on their way.
    fn send(&mut self, client: usize, kind: Kind, packets: Vec<Vec<u8>>) {
        let Some(link) = self.clients[client].links.get(&kind) else { return };
        packets.iter().for_each(|packet| self.truth.note_made(packet));
        match link.road {
            Road::None => {}
            Road::Udp(address) => self.send_datagrams(address, packets),
            Road::Stream(connection) => self.send_frames(connection.0, packets),
        }
    }

    fn send_datagrams(&mut self, from: SocketAddr, packets: Vec<Vec<u8>>) {
        packets.iter().for_each(|packet| self.liar.overhear(from, packet));
        let segment = packets[0].len();
        let train = packets.len() > 1 && self.random.random_bool(self.roads.trains);
        if train {
            self.story.trains += 1;
            return self.arrive(from, packets.concat(), segment, Expect::Anything);
        }
        for packet in packets {
            let len = packet.len();
            self.arrive(from, packet, len, Expect::Anything);
        }
    }

    pub(super) fn forge(&mut self, forgery: Forgery) {
        let len = forgery.bytes.len();
        self.arrive(forgery.from, forgery.bytes, len, forgery.expect);
    }

    fn arrive(&mut self, from: SocketAddr, bytes: Vec<u8>, segment: usize, expect: Expect) {
        let worker = worker_of(from, self.workers.len());
        let segment = u16::try_from(segment).unwrap();
        let inbound = Inbound::Packets { path: path_of(from), bytes, segment, expect };
        for at in self.roads.fates(self.now, &mut self.random) {
            self.story.arrivals += 1;
            self.schedule.add(at, Happening::Arrive { worker, inbound: inbound.clone() });
        }
    }

    fn send_frames(&mut self, number: u64, packets: Vec<Vec<u8>>) {
        let worker = usize::try_from(number % self.workers.len() as u64).unwrap();
        let Some(connection) = self.roads.connections.get_mut(&number) else { return };
        if !connection.is_open {
            return;
        }
        for packet in packets {
            let at = connection.after(0, self.now, self.roads.delay_max, &mut self.random);
            let segment = u16::try_from(packet.len()).unwrap();
            let path = connection.path(number);
            let expect = Expect::Anything;
            let inbound = Inbound::Packets { path, bytes: packet, segment, expect };
            self.story.arrivals += 1;
            self.schedule.add(at, Happening::Arrive { worker, inbound });
        }
    }

    pub(super) fn send_to_client(&mut self, address: SocketAddr, packet: Vec<u8>) {
        for at in self.roads.fates(self.now, &mut self.random) {
            self.schedule.add(at, Happening::Heard { address, packet: packet.clone() });
        }
    }

    pub(super) fn frame_to_client(&mut self, number: u64, packet: Vec<u8>) {
        let connection = self.roads.connections.get_mut(&number).expect("a connection there is");
        connection.is_authenticated = true;
        let at = connection.after(1, self.now, self.roads.delay_max, &mut self.random);
        if connection.is_open {
            self.schedule.add(at, Happening::Framed { connection: number, packet });
        }
    }

    pub(super) fn datagram_heard(&mut self, address: SocketAddr, packet: &[u8]) {
        if let Some(&(client, kind)) = self.roads.addresses.get(&address) {
            self.client_hears(client, kind, packet);
        }
    }

    pub(super) fn frame_heard(&mut self, number: u64, packet: &[u8]) {
        let connection = &self.roads.connections[&number];
        let road = Road::Stream(ConnectionId(number));
        let link = self.clients[connection.client].links.get(&connection.kind);
        if connection.is_open && link.is_some_and(|link| link.road == road) {
            self.client_hears(connection.client, connection.kind, packet);
        }
    }

    fn client_hears(&mut self, client: usize, kind: Kind, packet: &[u8]) {
        if self.clients[client].state == State::Vanished {
            return;
        }
        let sendings = self.clients[client].hear(kind, packet, &self.truth, &mut self.random);
        self.send_all(client, sendings);
    }
}

impl Connection {
    fn path(&self, number: u64) -> Path {
        Path::Stream {
            connection: ConnectionId(number),
            transport: self.transport,
            remote: self.remote,
        }
    }

    /// When what is sent now arrives: never before what was sent earlier.
    fn after(
        &mut self,
        direction: usize,
        now: Instant,
        delay_max: Duration,
        random: &mut ChaCha20Rng,
    ) -> Instant {
        let arrives = now + delay_max.mul_f64(random.random_range(0.1..1.0));
        let clock = &mut self.clocks[direction];
        *clock = arrives.max(*clock + Duration::from_nanos(1));
        *clock
    }
}

/// Which worker's socket the kernel picks: by the address alone.
fn worker_of(address: SocketAddr, workers: usize) -> usize {
    usize::from(address.port() ^ address.port() >> 3) % workers
}
