//! Everything a participant can say, in and out of turn, and everything a worker can report.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod coming_and_going;
mod limits;
mod links;
mod orders;
mod streams;
mod subscriptions;

use super::*;
use crate::WorkerId;
use rand::SeedableRng;
use std::net::SocketAddr;
use wire::control::{Codec, Key, LayerInfo, LayerOffer, VERSION};
use wire::srtp::MasterKey;
use wire::token::Role;
use wire::{Bitrate, Kind, Transport};

/// A control plane with the channels of Ann (1), Bob (2), … and a clock.
struct Scene {
    meetings: Meetings,
    now: Instant,
    orders: Vec<Order>,
    closed_paths: Vec<Path>,
}

/// What came out for one channel.
#[derive(Default)]
struct Heard {
    messages: Vec<ServerMessage>,
    closed: bool,
}

const ANN: ChannelId = ChannelId(1);
const BOB: ChannelId = ChannelId(2);
const CAT: ChannelId = ChannelId(3);

fn config() -> MeetingsConfig {
    MeetingsConfig {
        addresses: Addresses::default(),
        links: 100,
        layers: 100,
        routes: 100,
        participants_per_meeting: 10,
    }
}

fn claims(meeting: &str, name: &str) -> Claims {
    Claims {
        aud: "zone".into(),
        meeting: meeting.into(),
        sub: name.into(),
        role: Role::Attendee,
        kinds: Kind::ALL.to_vec(),
        iat: 0,
        exp: 0,
        jti: name.into(),
    }
}

fn layer(codec: Codec, bitrate: u32) -> LayerOffer {
    LayerOffer {
        codec,
        payload_type: 96,
        max_bitrate: Bitrate(bitrate),
        key: Key(MasterKey { key: [7; 16], salt: [8; 12] }),
    }
}

fn video(layers: usize) -> ClientMessage {
    publish(Kind::Video, vec![layer(Codec::Vp8, 1_000_000); layers])
}

fn audio() -> ClientMessage {
    publish(Kind::Audio, vec![layer(Codec::Opus, 64_000)])
}

fn publish(kind: Kind, layers: Vec<LayerOffer>) -> ClientMessage {
    ClientMessage::Publish { kind, layers }
}

fn connect(kind: Kind) -> ClientMessage {
    ClientMessage::Connect { kind }
}

fn subscribe(stream: StreamId, max_layer: u8) -> ClientMessage {
    ClientMessage::Subscribe { stream, max_layer }
}

fn udp(port: u16) -> Path {
    Path::Udp { socket: 0, remote: SocketAddr::from(([127, 0, 0, 1], port)) }
}

fn stream_path(connection: u64) -> Path {
    Path::Stream {
        connection: crate::ConnectionId(connection),
        transport: Transport::Tls,
        remote: SocketAddr::from(([127, 0, 0, 1], 9)),
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: MeetingsConfig) -> Self {
        Self {
            meetings: Meetings::new(config, ChaCha20Rng::seed_from_u64(1)),
            now: Instant::now(),
            orders: Vec::new(),
            closed_paths: Vec::new(),
        }
    }

    /// Ann and Bob in one meeting, with links of every kind; nothing of it left to hear.
    fn of_two() -> Self {
        let mut scene = Self::new();
        scene.join(ANN, claims("m", "ann"));
        scene.join(BOB, claims("m", "bob"));
        for channel in [ANN, BOB] {
            for kind in Kind::ALL {
                scene.say(channel, connect(kind));
            }
        }
        scene.orders.clear();
        scene
    }

    fn join(&mut self, channel: ChannelId, claims: Claims) -> BTreeMap<ChannelId, Heard> {
        self.meetings.handle_join(self.now, channel, claims);
        self.hear()
    }

    fn say(&mut self, channel: ChannelId, message: ClientMessage) -> BTreeMap<ChannelId, Heard> {
        self.meetings.handle_message(self.now, channel, message);
        self.hear()
    }

    fn report(&mut self, event: Event) -> BTreeMap<ChannelId, Heard> {
        self.meetings.handle_event(self.now, event);
        self.hear()
    }

    fn wait(&mut self, time: Duration) -> BTreeMap<ChannelId, Heard> {
        self.now += time;
        self.meetings.handle_timeout(self.now);
        self.hear()
    }

    /// Takes all outputs apart.
    fn hear(&mut self) -> BTreeMap<ChannelId, Heard> {
        let mut heard: BTreeMap<ChannelId, Heard> = BTreeMap::new();
        while let Some(output) = self.meetings.poll_output() {
            match output {
                Output::Order(order) => self.orders.push(order),
                Output::Message(channel, message) => {
                    let heard = heard.entry(channel).or_default();
                    assert!(!heard.closed, "a message after the close");
                    heard.messages.push(message);
                }
                Output::CloseChannel(channel) => heard.entry(channel).or_default().closed = true,
                Output::ClosePath(path) => self.closed_paths.push(path),
            }
        }
        heard
    }

    /// Publishes and gives the stream and its labels.
    fn published(&mut self, channel: ChannelId, message: ClientMessage) -> (StreamId, Vec<Ssrc>) {
        let heard = self.say(channel, message);
        match &heard[&channel].messages[..] {
            [ServerMessage::Published { stream, ssrcs, .. }] => (*stream, ssrcs.clone()),
            other => panic!("expected published, heard {other:?}"),
        }
    }

    /// Orders so far, in short, and forgets them.
    fn orders(&mut self) -> Vec<String> {
        std::mem::take(&mut self.orders).iter().map(short).collect()
    }

    fn link(&self, channel: ChannelId, kind: Kind) -> LinkId {
        let who = self.meetings.channels[&channel];
        self.meetings.participants[&who].links[kind.index()].unwrap()
    }

    fn layer(&self, stream: StreamId, layer: usize) -> LayerId {
        self.meetings.streams[&stream].layers[layer].id
    }

    fn bind(&mut self, channel: ChannelId, kind: Kind, path: Path) {
        let link = self.link(channel, kind);
        self.report(Event::Bound { link, path, worker: WorkerId(0) });
    }

    /// Nothing is left in any table.
    fn assert_empty(&self) {
        let it = &self.meetings;
        assert_eq!(it.summary(), Summary::default());
        assert_eq!((it.links.len(), it.layers.len(), it.routes), (0, 0, 0));
        assert!(it.channels.is_empty() && it.sessions.is_empty() && it.names.is_empty());
        assert!(it.ufrags.is_empty() && it.absent.is_empty());
    }
}

/// `layer 1 > link 2` and the like, by index.
fn short(order: &Order) -> String {
    match order {
        Order::AddLink(link) => format!("add link {}", link.id.index),
        Order::RemoveLink(link) => format!("remove link {}", link.index),
        Order::AddLayer(layer) => format!("add layer {}", layer.id.index),
        Order::RemoveLayer(layer) => format!("remove layer {}", layer.index),
        Order::Route { layer, link } => format!("route {} > {}", layer.index, link.index),
        Order::Unroute { layer, link } => format!("unroute {} > {}", layer.index, link.index),
        Order::Switch { from, to, link } => {
            format!("switch {} to {} > {}", from.index, to.index, link.index)
        }
        Order::Rollover { layer, roc } => format!("rollover {} = {roc}", layer.index),
        Order::Mark(_) => "mark".into(),
        Order::Express(_) => "express".into(),
    }
}

/// The one message a channel heard.
fn only(heard: &BTreeMap<ChannelId, Heard>, channel: ChannelId) -> &ServerMessage {
    match &heard.get(&channel).map_or(&[][..], |heard| &heard.messages) {
        [message] => message,
        other => panic!("expected one message, heard {other:?}"),
    }
}

/// The code of the one error a channel heard.
fn refusal(heard: &BTreeMap<ChannelId, Heard>, channel: ChannelId) -> ErrorCode {
    match only(heard, channel) {
        ServerMessage::Error { code, .. } => *code,
        other => panic!("expected an error, heard {other:?}"),
    }
}

fn resume(session: &str) -> ClientMessage {
    ClientMessage::Resume { v: VERSION, session: session.into() }
}

/// The session `joined` gives.
fn session(heard: &BTreeMap<ChannelId, Heard>, channel: ChannelId) -> String {
    match &heard[&channel].messages[0] {
        ServerMessage::Joined { session, .. } => session.0.clone(),
        other => panic!("expected joined, heard {other:?}"),
    }
}

fn added(message: &ServerMessage) -> (StreamId, &[LayerInfo]) {
    match message {
        ServerMessage::StreamAdded { stream, layers, .. } => (*stream, layers),
        other => panic!("expected stream_added, heard {other:?}"),
    }
}
