//! The world of one seed: clients, their roads, workers, control, and time.

mod calm;
mod control;
mod deeds;
mod roads;
mod story;

use crate::client::{Client, State};
use crate::liar::{self, Liar};
use crate::schedule::Schedule;
use crate::truth::{Person, Truth};
use crate::worker::{self, Inbound, Worker};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use roads::Roads;
use router::{ChannelId, Event, Meetings, MeetingsConfig, Outbox, PeerMessage, WorkerId, limits};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
pub use story::Story;
use wire::Kind;
use wire::control::{Addresses, ServerMessage};
use wire::token::Role;

/// Bytes for replies, RTCP and retransmissions of one turn.
const ARENA: usize = 512 * 1024;

/// What a seed decides before anything happens.
struct Conditions {
    workers: u8,
    /// How often clients send media.
    tick: Duration,
    chaos: Duration,
    /// Between two lies; `None` where nobody lies.
    lie: Option<Duration>,
    /// How often a message between workers is lost.
    peer_loss: f64,
    /// How long a worker may take to have its turn.
    turn_delay: Duration,
    /// Workers can't keep up until it is calm, and give up video and content.
    overload: bool,
}

/// Things that happen at their time.
enum Happening {
    Turn(usize),
    Arrive { worker: usize, inbound: Inbound },
    Peer { worker: usize, message: PeerMessage },
    Heard { address: SocketAddr, packet: Vec<u8> },
    Framed { connection: u64, packet: Vec<u8> },
    Reported(Event),
    Asked { channel: ChannelId, asked: Asked },
    Told { channel: ChannelId, message: ServerMessage },
    ChannelClosed(ChannelId),
    ConnectionClosed(u64),
    Tick(usize),
    Deed(usize),
    Lie,
}

/// What control hears of a channel.
enum Asked {
    Join,
    Say(wire::control::ClientMessage),
    Drop,
}

struct World {
    random: ChaCha20Rng,
    now: Instant,
    schedule: Schedule<Happening>,
    conditions: Conditions,
    workers: Vec<Worker>,
    meetings: Meetings,
    clients: Vec<Client>,
    /// Whose a channel is or was.
    channels: BTreeMap<ChannelId, usize>,
    /// When the last message of a channel arrives, so that they keep their order.
    channel_clock: BTreeMap<ChannelId, Instant>,
    roads: Roads,
    liar: Liar,
    truth: Truth,
    outbox: Outbox,
    /// Nobody does anything any more but what it is made to.
    is_calm: bool,
    story: Story,
}

/// Plays a seed through; panics where a promise is broken.
pub fn play(seed: u64) -> Story {
    let mut world = World::new(seed);
    world.live_through_chaos();
    world.find_calm();
    world.check_delivery();
    world.come_to_rest();
    world.story.finish(&world.workers, &world.clients);
    world.story
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let now = Instant::now();
        let conditions = Conditions::draw(&mut random);
        let people = people(&mut random);
        let workers = (0..conditions.workers)
            .map(|id| Worker::new(WorkerId(id), conditions.workers, now))
            .collect();
        let config = MeetingsConfig {
            addresses: Addresses::default(),
            links: worker::LINKS,
            layers: worker::LAYERS,
            routes: worker::ROUTES,
            participants_per_meeting: 16,
        };
        Self {
            meetings: Meetings::new(config, ChaCha20Rng::seed_from_u64(!seed)),
            clients: people
                .iter()
                .map(|person| Client::new(person.clone(), random.random_bool(0.15)))
                .collect(),
            truth: Truth::new(people),
            roads: Roads::new(&mut random),
            random,
            now,
            schedule: Schedule::new(),
            conditions,
            workers,
            channels: BTreeMap::new(),
            channel_clock: BTreeMap::new(),
            liar: Liar::default(),
            outbox: Outbox::new(ARENA),
            is_calm: false,
            story: Story::default(),
        }
    }

    fn live_through_chaos(&mut self) {
        for client in 0..self.clients.len() {
            let tick = self.within(self.conditions.tick);
            self.schedule.add(tick, Happening::Tick(client));
            let deed = self.within(Duration::from_millis(300));
            self.schedule.add(deed, Happening::Deed(client));
        }
        self.schedule.add(self.now + Duration::from_secs(1), Happening::Lie);
        self.run_until(self.now + self.conditions.chaos);
    }

    fn run_until(&mut self, end: Instant) {
        while let Some((at, happening)) = self.schedule.next(end) {
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Turn(worker) => self.turn(worker),
            Happening::Arrive { worker, inbound } => {
                self.workers[worker].inbox.push_back(inbound);
                self.schedule_turn(worker);
            }
            Happening::Peer { worker, message } => {
                self.workers[worker].peers.push_back(message);
                self.schedule_turn(worker);
            }
            Happening::Heard { address, packet } => self.datagram_heard(address, &packet),
            Happening::Framed { connection, packet } => self.frame_heard(connection, &packet),
            Happening::Reported(event) => {
                self.meetings.handle_event(self.now, event);
                self.take_outputs();
            }
            Happening::Asked { channel, asked } => self.asked(channel, asked),
            Happening::Told { channel, message } => self.told(channel, message),
            Happening::ChannelClosed(channel) => self.channel_closed(channel),
            Happening::ConnectionClosed(connection) => self.connection_closed(connection),
            Happening::Tick(client) => self.tick(client),
            Happening::Deed(client) => self.deed(client),
            Happening::Lie => self.lie(),
        }
    }

    fn turn(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        if it.turn_at != Some(self.now) {
            return; // another turn was scheduled before this one, and has been
        }
        it.turn_at = None;
        let outcome = it.turn(self.now, &mut self.outbox, &mut self.truth);
        it.assert_bounds();
        let is_late = self.conditions.overload && !self.is_calm;
        let length = if is_late { limits::OVERLOAD_TURN } else { Duration::ZERO };
        it.router.note_turn(self.now - length, self.now);
        self.story.turns += 1;
        for (address, packet) in outcome.datagrams {
            assert!(!Liar::is_own(address), "something was sent to the liar");
            self.send_to_client(address, packet);
        }
        for (connection, packet) in outcome.frames {
            self.frame_to_client(connection.0, packet);
        }
        for (to, message) in outcome.peers {
            self.pass_between_workers(worker, to, message);
        }
        for event in outcome.events {
            self.story.note_event(&event);
            self.schedule.add(self.now + Duration::from_millis(1), Happening::Reported(event));
        }
        let due = self.workers[worker].router.poll_timeout().max(self.now);
        self.schedule_turn_at(worker, due + Duration::from_millis(1));
    }

    fn pass_between_workers(&mut self, from: usize, to: Option<WorkerId>, message: PeerMessage) {
        for worker in 0..self.workers.len() {
            let is_for = to.is_none_or(|to| usize::from(to.0) == worker);
            assert!(to.is_none_or(|to| usize::from(to.0) != from), "a worker wrote to itself");
            let lost = !self.is_calm && self.random.random_bool(self.conditions.peer_loss);
            if worker == from || !is_for || lost {
                continue;
            }
            let at = self.within(self.conditions.turn_delay);
            self.schedule.add(at, Happening::Peer { worker, message });
        }
    }

    fn schedule_turn(&mut self, worker: usize) {
        let at = self.within(self.conditions.turn_delay);
        self.schedule_turn_at(worker, at);
    }

    fn schedule_turn_at(&mut self, worker: usize, at: Instant) {
        let turn_at = &mut self.workers[worker].turn_at;
        if turn_at.is_none_or(|scheduled| at < scheduled) {
            *turn_at = Some(at);
            self.schedule.add(at, Happening::Turn(worker));
        }
    }

    fn tick(&mut self, client: usize) {
        let it = &mut self.clients[client];
        let mut sendings = it.tick(self.now, &mut self.random);
        let misbehaves = it.is_malicious && it.state == State::In && !self.is_calm;
        if misbehaves && self.random.random_bool(0.1) {
            sendings.extend(liar::misbehave(it, &mut self.random));
        }
        self.send_all(client, sendings);
        let again = self.now + self.conditions.tick;
        self.schedule.add(again, Happening::Tick(client));
    }

    fn lie(&mut self) {
        let Some(interval) = self.conditions.lie.filter(|_| !self.is_calm) else { return };
        if let Some(forgery) = self.liar.lie(&mut self.random) {
            self.truth.poisoned.extend(forgery.poisons);
            self.truth.replayed.extend(forgery.replays);
            self.story.lies += 1;
            self.forge(forgery);
        }
        let again = self.within(interval);
        self.schedule.add(again, Happening::Lie);
    }

    /// Some time from now, at most `most`.
    fn within(&mut self, most: Duration) -> Instant {
        self.now + most.mul_f64(self.random.random_range(0.0..1.0))
    }
}

impl Conditions {
    fn draw(random: &mut ChaCha20Rng) -> Self {
        let ms = Duration::from_millis;
        Self {
            workers: random.random_range(1..=3),
            tick: ms(random.random_range(60..300)),
            chaos: ms(random.random_range(8_000..60_000)),
            lie: random.random_bool(0.8).then(|| ms(random.random_range(20..300))),
            peer_loss: if random.random_bool(0.3) { 0.1 } else { 0.0 },
            turn_delay: ms(random.random_range(1..15)),
            overload: random.random_bool(0.1),
        }
    }
}

/// Who may take part: a few people in up to three meetings.
fn people(random: &mut ChaCha20Rng) -> Vec<Person> {
    let meetings = random.random_range(1..=3);
    let person = |index: usize, random: &mut ChaCha20Rng| Person {
        name: format!("p{index}"),
        meeting: format!("m{}", index % meetings),
        role: match random.random_range(0..5) {
            0 => Role::Host,
            1 => Role::Viewer,
            _ => Role::Attendee,
        },
        kinds: match random.random_range(0..4) {
            0 => vec![Kind::ALL[random.random_range(0..3)]],
            _ => Kind::ALL.to_vec(),
        },
    };
    (0..random.random_range(3..=7)).map(|index| person(index, random)).collect()
}
