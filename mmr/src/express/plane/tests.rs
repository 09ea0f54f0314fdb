//! The plane against a kernel and a worker that are a few tables each: random orders, events, news and delays, and
//! packets that wait in a socket meanwhile. `EXPRESS_SEED=n` replays one seed.

use super::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use router::MeetingId;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use wire::srtp::{MasterKey, SessionKeys};
use wire::{Bitrate, Kind};

const LINKS: u32 = 12;
const LAYERS: u32 = 3;
const NEXT_HOP: NextHop = NextHop {
    device: 1,
    to_mac: [1; 6],
    from_mac: [9; 6],
    source: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99)), 8801),
    size_max: 1_500,
};

/// The tables as the program reads them.
#[derive(Default)]
struct Kernel {
    destinations: HashMap<u32, Destination>,
    layers: HashMap<Label, Layer>,
    chunks: HashMap<u32, (Vec<u32>, u32)>,
}

impl Tables for Kernel {
    fn place(&mut self, number: u32, destination: &Destination) -> bool {
        self.destinations.insert(number, *destination);
        true
    }
    fn displace(&mut self, number: u32) {
        self.destinations.remove(&number);
    }
    fn write_run(&mut self, chunks: &[u32], numbers: &[u32]) -> bool {
        for (place, numbers) in numbers.chunks(CHUNK).enumerate() {
            let next = chunks.get(place + 1).copied().unwrap_or(0);
            self.chunks.insert(chunks[place], (numbers.to_vec(), next));
        }
        true
    }
    fn serve(&mut self, label: &Label, layer: &Layer) -> bool {
        self.layers.insert(*label, *layer);
        true
    }
    fn stop_serving(&mut self, label: &Label) {
        self.layers.remove(label);
    }
}

impl Kernel {
    /// The mark on a packet, and where its copies went.
    fn serve_packet(&self, label: &Label) -> (u32, Vec<Destination>) {
        let Some(layer) = self.layers.get(label) else { return (0, Vec::new()) };
        let (mut run, mut chunk) = (Vec::new(), layer.chunk);
        while run.len() < layer.count as usize {
            let (numbers, next) = &self.chunks[&chunk];
            run.extend(numbers.iter().filter_map(|number| self.destinations.get(number)));
            if run.len() + numbers.len() > layer.count as usize + CHUNK || numbers.len() < CHUNK {
                break;
            }
            chunk = *next;
        }
        (layer.generation, run.into_iter().copied().collect())
    }
}

/// A packet on its way: what the kernel did, and what was so at the time.
struct Packet {
    at: Instant,
    layer: u32,
    mark: u32,
    copies: Vec<u32>,
    wanted: BTreeSet<u32>,
}

struct World {
    random: ChaCha20Rng,
    plane: Plane,
    kernel: Kernel,
    now: Instant,
    /// The truth: who is where, who gets what.
    paths: HashMap<u32, SocketAddr>,
    routes: BTreeSet<(u32, u32)>,
    known: HashMap<Question, bool>,
    /// Orders the worker has not taken, and what it remembers.
    queue: VecDeque<Order>,
    versions: HashMap<u32, VecDeque<Arc<ExpressVersion>>>,
    socket: VecDeque<Packet>,
    moves: u16,
}

fn link(index: u32) -> LinkId {
    LinkId { index, generation: 1 }
}

fn layer(index: u32) -> LayerId {
    LayerId { index, generation: 1 }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: ChaCha20Rng::seed_from_u64(seed),
            plane: Plane::new(Marks::DEFAULT, 64),
            kernel: Kernel::default(),
            now: Instant::now(),
            paths: HashMap::new(),
            routes: BTreeSet::new(),
            known: HashMap::new(),
            queue: VecDeque::new(),
            versions: HashMap::new(),
            socket: VecDeque::new(),
            moves: 0,
        };
        for index in 0..LINKS {
            let keys = || SessionKeys::derive(&MasterKey { key: [0; 16], salt: [0; 12] });
            world.order(Order::AddLink(Arc::new(LinkSpec {
                id: link(index),
                meeting: MeetingId(1),
                kind: Kind::Video,
                ufrag: [b'a'; wire::limits::UFRAG_LEN],
                password: String::new(),
                rtcp_in: keys(),
                rtcp_out: keys(),
            })));
        }
        for index in 0..LAYERS {
            world.order(Order::AddLayer(Arc::new(LayerSpec {
                id: layer(index),
                link: link(index),
                meeting: MeetingId(1),
                ssrc: Ssrc(100 + index),
                kind: Kind::Video,
                max_bitrate: Bitrate(1_000_000),
            })));
            world.bind(index);
        }
        world
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.random.next_u32() % bound
    }

    fn order(&mut self, order: Order) {
        self.plane.hear_order(&order, self.now, &mut self.kernel);
    }

    fn bind(&mut self, index: u32) {
        self.moves += 1;
        // Few addresses, many ports, so that a next hop is often known.
        let address = [10, 0, 0, u8::try_from(self.below(4)).unwrap_or(0)];
        let remote = SocketAddr::from((address, 1_000 + self.moves));
        self.paths.insert(index, remote);
        let path = Path::Udp { socket: 0, remote };
        let event = Event::Bound { link: link(index), path, worker: router::WorkerId(0) };
        self.plane.hear_event(&event, &mut self.kernel);
    }

    fn answer(&mut self) {
        while let Some((question, wanted)) = self.plane.poll_question() {
            if wanted {
                self.known.insert(question, false);
            } else {
                self.known.remove(&question);
            }
        }
        let mut questions: Vec<Question> = self.known.keys().copied().collect();
        questions.sort_unstable();
        for question in questions {
            let next_hop = (self.below(4) > 0).then(|| NextHop {
                device: 1,
                to_mac: [u8::try_from(self.below(3)).unwrap_or(0); 6],
                from_mac: [9; 6],
                source: "10.0.0.99:8801".parse().expect("an address"),
                size_max: 1_500,
            });
            self.plane.hear_next_hop(&question, next_hop, &mut self.kernel);
        }
    }

    /// Every next hop is known at once.
    fn answer_all(&mut self) {
        while let Some((question, wanted)) = self.plane.poll_question() {
            if wanted {
                self.plane.hear_next_hop(&question, Some(NEXT_HOP), &mut self.kernel);
            }
        }
    }

    /// Brings into effect what may be; when that was, if it was.
    fn commit(&mut self) -> Option<Instant> {
        let orders = self.plane.plan(self.now, &mut self.kernel);
        self.plane.commit(self.now, &mut self.kernel);
        (!orders.is_empty()).then_some(self.now)
    }

    fn route(&mut self, routed: bool) {
        let (layer_index, link_index) = (self.below(LAYERS), self.below(LINKS));
        let (layer, link) = (layer(layer_index), link(link_index));
        if routed {
            self.routes.insert((layer_index, link_index));
            self.order(Order::Route { layer, link });
        } else {
            self.routes.remove(&(layer_index, link_index));
            self.order(Order::Unroute { layer, link });
        }
    }

    /// Workers are told; sometimes their queues are too full for it to take effect now.
    fn settle(&mut self) {
        let orders = self.plane.plan(self.now, &mut self.kernel);
        self.queue.extend(orders);
        if self.below(3) > 0 {
            self.plane.commit(self.now, &mut self.kernel);
        }
    }

    fn wanted(&self, layer: u32) -> BTreeSet<u32> {
        let to = self.routes.iter().filter(|(it, _)| *it == layer).map(|(_, link)| *link);
        to.filter(|link| self.paths.contains_key(link)).collect()
    }

    fn hear_packet(&mut self) {
        let index = self.below(LAYERS);
        let Some(source) = self.paths.get(&index).copied() else { return };
        let label = Label { socket: 0, source, ssrc: Ssrc(100 + index) };
        let (mark, destinations) = self.kernel.serve_packet(&label);
        let wanted = self.wanted(index);
        for destination in &destinations {
            // Never to where a link was before it moved, nor to anybody's former address.
            assert_eq!(self.paths.get(&destination.index), Some(&destination.remote));
        }
        let copies = destinations.iter().map(|destination| destination.index).collect();
        self.socket.push_back(Packet { at: self.now, layer: index, mark, copies, wanted });
    }

    /// The worker reads what waits: it has taken every order given before.
    fn read(&mut self) {
        while let Some(Order::Express(version)) = self.queue.pop_front() {
            let versions = self.versions.entry(version.layer.index).or_default();
            versions.push_front(version);
            versions.truncate(router::limits::EXPRESS_VERSIONS);
        }
        // No packet waits for as long as the worker remembers versions.
        self.socket.retain(|packet| self.now - packet.at < REMEMBERED);
        let Some(packet) = self.socket.pop_front() else { return };
        let wanted = self.wanted(packet.layer);
        let versions = self.versions.entry(packet.layer).or_default();
        let version = versions.iter().find(|version| version.generation == packet.mark);
        assert!(packet.mark == 0 || version.is_some(), "a mark the worker does not know");
        for link in wanted.intersection(&packet.wanted) {
            let left_out = version.is_some_and(|version| version.links.contains(link));
            let copies = packet.copies.iter().filter(|it| *it == link).count();
            assert!(copies <= usize::from(left_out), "link {link} is served twice");
            // Lost only by a link that moved or lost its next hop a moment ago: it is told to be elsewhere.
            if left_out && copies == 0 {
                assert!(self.plane.links[link].routes.contains(&packet.layer));
            }
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..3_000 {
        match world.below(12) {
            0 => {
                let link = world.below(LINKS);
                world.bind(link);
            }
            1 => {
                let index = world.below(LINKS);
                world.paths.remove(&index);
                let event = Event::ConsentLost { link: link(index) };
                world.plane.hear_event(&event, &mut world.kernel);
            }
            2 => world.answer(),
            3 | 4 => world.route(true),
            5 => world.route(false),
            6 => world.now += Duration::from_millis(30),
            7 | 8 => world.settle(),
            9 | 10 => world.hear_packet(),
            _ => world.read(),
        }
    }
}

#[test]
fn every_link_is_on_one_plane_whatever_happens() {
    if let Ok(seed) = std::env::var("EXPRESS_SEED") {
        return run(seed.parse().expect("a number"));
    }
    for seed in 0..64 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "replay with EXPRESS_SEED={seed}");
    }
}

#[test]
fn at_rest_the_kernel_serves_everybody_it_can_and_with_links_gone_it_serves_nobody() {
    let mut world = World::new(7);
    for index in 0..LINKS {
        world.bind(index);
        if index >= LAYERS {
            world.routes.insert((0, index));
            world.order(Order::Route { layer: layer(0), link: link(index) });
        }
    }
    world.answer_all();
    let orders = world.plane.plan(world.now, &mut world.kernel);
    assert_eq!(orders.len(), 1);
    let served = |world: &World| world.kernel.layers.values().filter(|it| it.count > 0).count();
    assert_eq!(served(&world), 0, "nothing is served before workers are told");
    assert_eq!(world.kernel.layers.len(), 2, "layers that nobody is served of are known");
    world.plane.commit(world.now, &mut world.kernel);
    assert_eq!((served(&world), world.kernel.layers.len()), (1, 3));
    let extent = world.plane.extent();
    assert_eq!((extent.layers, extent.routes), (1, u64::from(LINKS - LAYERS)));
    // Unchanged, nothing is planned again.
    world.now += Duration::from_secs(1);
    world.plane.dirty.insert(0);
    assert!(world.plane.plan(world.now, &mut world.kernel).is_empty());
    for index in LAYERS..LINKS {
        world.order(Order::Unroute { layer: layer(0), link: link(index) });
    }
    (0..LAYERS).for_each(|index| world.order(Order::RemoveLayer(layer(index))));
    (0..LINKS).for_each(|index| world.order(Order::RemoveLink(link(index))));
    assert!(world.kernel.layers.is_empty() && world.kernel.destinations.is_empty());
    assert!(world.plane.links.is_empty() && world.plane.next_hops.is_empty());
}

#[test]
fn an_address_in_use_by_another_family_stays_on_the_sockets() {
    let mut world = World::new(8);
    let remote: SocketAddr = "[2001:db8::7]:5000".parse().expect("an address");
    let path = Path::Udp { socket: 1, remote };
    let event = Event::Bound { link: link(5), path, worker: router::WorkerId(0) };
    world.plane.hear_event(&event, &mut world.kernel);
    world.order(Order::Route { layer: layer(0), link: link(5) });
    let known = NextHop {
        device: 1,
        to_mac: [1; 6],
        from_mac: [9; 6],
        source: "[2001:db8::1]:8801".parse().expect("an address"),
        size_max: 1_500,
    };
    let question = Question { socket: 1, remote: remote.ip() };
    world.plane.hear_next_hop(&question, Some(known), &mut world.kernel);
    assert!(world.plane.plan(world.now, &mut world.kernel).is_empty());
}

#[test]
fn who_can_not_be_served_any_more_waits_for_no_interval_and_versions_do_not_go_by_faster_than_before()
 {
    let mut world = World::new(9);
    for index in LAYERS..LINKS {
        world.bind(index);
        world.order(Order::Route { layer: layer(0), link: link(index) });
    }
    world.answer_all();
    let began = world.now;
    let mut changed = Vec::new();
    while world.now - began < Duration::from_secs(2) {
        // Somebody goes to TCP and comes back, all the time.
        let event = Event::ConsentLost { link: link(LAYERS) };
        world.plane.hear_event(&event, &mut world.kernel);
        changed.extend(world.commit());
        world.bind(LAYERS);
        world.answer_all();
        changed.extend(world.commit());
        world.now += Duration::from_millis(1);
    }
    // The first change took effect at once; of eight none came within what is remembered.
    assert_eq!(changed[1], began);
    let kept = router::limits::EXPRESS_VERSIONS - 1;
    assert!(changed.windows(kept + 1).all(|it| it[kept] - it[0] >= REMEMBERED));
    assert!(changed.len() > 30, "{}", changed.len());
}
