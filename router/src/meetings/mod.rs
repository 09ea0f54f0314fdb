//! The control plane: who is in which meeting, publishes what and gets what. Decides, and says so by orders.
//!
//! One value for the whole MMR, used by the control thread alone. What participants say, what workers report and what
//! time it is go in; orders, messages and closes come out of [`Meetings::poll_output`]. It is *not* on the packet path:
//! if it stops, media keeps flowing on the last routes.
//!
//! ```text
//!   meeting ─┬─ participants ─┬─ links (one a kind) ──────────┐
//!            │                ├─ streams (one a kind) ─ layers │ a subscription is one route: layer → link
//!            │                └─ subscriptions ───────────────┘
//!            └─ speaker
//! ```
//!
//! Everything is kept in ordered tables, so that the same inputs and the same random seed give the same outputs.

mod events;
mod links;
mod pace;
mod participants;
mod secrets;
mod slots;
mod speaker;
mod streams;
mod subscriptions;
#[cfg(test)]
mod tests;

use crate::{Event, LayerId, LinkId, MeetingId, Occupancy, Order, Path, limits};
use links::Link;
use participants::Participant;
use rand_chacha::ChaCha20Rng;
use slots::Slots;
use speaker::Speaker;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use streams::{LayerPlace, Stream};
use wire::control::{Addresses, ClientMessage, ErrorCode, ServerMessage};
use wire::limits::UFRAG_LEN;
use wire::token::Claims;
use wire::{Ssrc, StreamId};

/// A control channel's number, given by the caller; never given away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u64);

/// What meetings are made with.
#[derive(Clone, Debug)]
pub struct MeetingsConfig {
    /// Where clients reach this MMR's media.
    pub addresses: Addresses,
    /// Links at once, at most `limits::LINKS_MAX`.
    pub links: u32,
    /// Layers at once, at most `limits::LAYERS_MAX`.
    pub layers: u32,
    /// Routes at once, at most `limits::ROUTES_MAX`.
    pub routes: u32,
    /// Participants per meeting, at most `limits::PARTICIPANTS_PER_MEETING_MAX`.
    pub participants_per_meeting: u32,
}

/// What is to be done.
pub enum Output {
    /// For every worker, in this sequence.
    Order(Order),
    /// For one channel.
    Message(ChannelId, ServerMessage),
    /// Close the channel after its messages.
    CloseChannel(ChannelId),
    /// Close a TCP or TLS connection: its link is gone.
    ClosePath(Path),
}

/// Counts for stats and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Meetings with a participant.
    pub meetings: u64,
    /// Participants, those without a channel included.
    pub participants: u64,
    /// Streams published.
    pub streams: u64,
    /// Links bound, by `Transport::ALL`.
    pub links: [u64; 3],
    /// By `Kind::index`.
    pub kinds: [KindSummary; 3],
}

/// What there is of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindSummary {
    /// Streams published.
    pub streams: u64,
    /// Links bound.
    pub links: u64,
    /// Links given out and not bound.
    pub links_waiting: u64,
}

/// The control plane.
pub struct Meetings {
    config: MeetingsConfig,
    random: ChaCha20Rng,
    channels: BTreeMap<ChannelId, ParticipantId>,
    /// Session secrets: a participant's, and the one before as long as the client may not know the new one.
    sessions: BTreeMap<String, ParticipantId>,
    /// Meetings by the name in the token.
    names: BTreeMap<String, MeetingId>,
    meetings: BTreeMap<MeetingId, Meeting>,
    participants: BTreeMap<ParticipantId, Participant>,
    streams: BTreeMap<StreamId, Stream>,
    links: Slots<LinkId, Link>,
    layers: Slots<LayerId, LayerPlace>,
    ufrags: BTreeSet<[u8; UFRAG_LEN]>,
    /// Subscriptions of all participants; each is one route.
    routes: u32,
    /// Links bound, by `Transport::ALL`.
    bound: [u64; 3],
    /// Participants without a channel, by when they are given up.
    absent: BTreeSet<(Instant, ParticipantId)>,
    /// Until when everybody should have moved on.
    draining: Option<Instant>,
    meetings_made: u64,
    participants_made: u64,
    streams_made: u32,
    outputs: VecDeque<Output>,
}

/// A participant's number in this run; never given away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ParticipantId(u64);

struct Meeting {
    name: String,
    /// By name: the roster.
    participants: BTreeMap<String, ParticipantId>,
    streams: BTreeSet<StreamId>,
    /// Labels of all layers.
    ssrcs: BTreeSet<Ssrc>,
    speaker: Speaker,
}

/// Why a request was refused: becomes an `error`.
#[derive(Debug)]
struct Refusal {
    code: ErrorCode,
    message: &'static str,
}

impl Meetings {
    /// `random` makes SSRCs, user fragments, passwords and session secrets: seed it from the system, or from a test.
    pub fn new(config: MeetingsConfig, random: ChaCha20Rng) -> Self {
        assert!(config.links <= limits::LINKS_MAX, "more links than workers have room for");
        assert!(config.layers <= limits::LAYERS_MAX, "more layers than workers have room for");
        assert!(config.routes <= limits::ROUTES_MAX, "more routes than workers have room for");
        assert!(config.participants_per_meeting <= limits::PARTICIPANTS_PER_MEETING_MAX);
        Self {
            random,
            channels: BTreeMap::new(),
            sessions: BTreeMap::new(),
            names: BTreeMap::new(),
            meetings: BTreeMap::new(),
            participants: BTreeMap::new(),
            streams: BTreeMap::new(),
            links: Slots::new(config.links),
            layers: Slots::new(config.layers),
            ufrags: BTreeSet::new(),
            routes: 0,
            bound: [0; 3],
            absent: BTreeSet::new(),
            draining: None,
            meetings_made: 0,
            participants_made: 0,
            streams_made: 0,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// A channel whose token was verified (and is used up) joins.
    pub fn handle_join(&mut self, now: Instant, channel: ChannelId, claims: Claims) {
        if self.channels.contains_key(&channel) {
            let refusal = Refusal::new(ErrorCode::OutOfOrder, "this channel has joined already");
            return self.output(Output::Message(channel, refusal.into()));
        }
        if let Err(refusal) = self.join(now, channel, claims) {
            self.refuse(channel, refusal.code, refusal.message.to_owned());
        }
    }

    /// A channel whose first message was refused before it came here: an `error` and a close.
    pub fn refuse(&mut self, channel: ChannelId, code: ErrorCode, message: String) {
        self.output(Output::Message(channel, ServerMessage::Error { code, message }));
        self.output(Output::CloseChannel(channel));
    }

    /// Any other message, `resume` included. `join` here is out of order.
    pub fn handle_message(&mut self, now: Instant, channel: ChannelId, message: ClientMessage) {
        let Some(&who) = self.channels.get(&channel) else {
            if let Err(refusal) = self.first_message(now, channel, message) {
                self.refuse(channel, refusal.code, refusal.message.to_owned());
            }
            return;
        };
        if let Err(refusal) = self.request(now, who, message) {
            self.output(Output::Message(channel, refusal.into()));
        }
    }

    /// The channel dropped; its participant may resume.
    pub fn handle_disconnect(&mut self, now: Instant, channel: ChannelId) {
        if let Some(who) = self.channels.remove(&channel) {
            self.wait_for_resume(now, who);
        }
    }

    /// A worker reports. What it says of links and layers that are gone is passed over.
    pub fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Bound { link, path, .. } => self.bound(link, path),
            Event::ConsentLost { link } => self.consent_lost(link),
            Event::Level { layer, level, voice } => self.level(now, layer, level, voice),
            Event::Rollover { layer, roc } => self.rollover(layer, roc),
            Event::Switched { from, to, link } => self.switched(from, to, link),
        }
    }

    /// Does what is due: participants who did not resume go.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, who)) = self.absent.first()
            && due <= now
        {
            self.remove_participant(who);
        }
    }

    /// Turns newcomers away and tells everyone to move on within `deadline`.
    pub fn drain(&mut self, now: Instant, deadline: Duration) {
        self.draining = Some(now + deadline);
        let message = ServerMessage::Draining { deadline_s: deadline.as_secs() };
        let channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        for channel in channels {
            self.output(Output::Message(channel, message.clone()));
        }
    }

    /// Takes newcomers again.
    pub fn undrain(&mut self) {
        self.draining = None;
    }

    /// What is to be done; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.absent.first().map(|&(due, _)| due)
    }

    /// Counts.
    pub fn summary(&self) -> Summary {
        Summary {
            meetings: self.meetings.len() as u64,
            participants: self.participants.len() as u64,
            streams: self.streams.len() as u64,
            links: self.bound,
            kinds: self.kinds(),
        }
    }

    /// Every meeting's name, and how many participants it has.
    pub fn list(&self) -> impl Iterator<Item = (&str, u64)> {
        let size = |meeting: &Meeting| meeting.participants.len() as u64;
        self.meetings.values().map(move |meeting| (meeting.name.as_str(), size(meeting)))
    }

    /// How full the tables are; switches as far as workers have told.
    pub fn occupancy(&self) -> Occupancy {
        let count = |entries: usize| u32::try_from(entries).unwrap_or(u32::MAX);
        let waiting =
            |who: &Participant| who.subscriptions.values().filter(|it| it.waits()).count();
        Occupancy {
            links: count(self.links.len()),
            paths: self.bound.iter().sum::<u64>().try_into().unwrap_or(u32::MAX),
            layers: count(self.layers.len()),
            routes: self.routes,
            switches: count(self.participants.values().map(waiting).sum()),
            missing: 0,
        }
    }

    /// Where a link is bound, if it is.
    pub fn path(&self, link: LinkId) -> Option<Path> {
        self.links.get(link)?.path
    }

    fn kinds(&self) -> [KindSummary; 3] {
        let mut kinds = [KindSummary::default(); 3];
        for stream in self.streams.values() {
            kinds[stream.kind.index()].streams += 1;
        }
        for link in self.links.values() {
            let kind = &mut kinds[link.kind.index()];
            let bound = link.path.is_some();
            *(if bound { &mut kind.links } else { &mut kind.links_waiting }) += 1;
        }
        kinds
    }

    fn first_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: ClientMessage,
    ) -> Result<(), Refusal> {
        match message {
            ClientMessage::Resume { v, session } => self.resume(now, channel, v, &session),
            _ => {
                Err(Refusal::new(ErrorCode::OutOfOrder, "the first message must be join or resume"))
            }
        }
    }

    fn request(
        &mut self,
        now: Instant,
        who: ParticipantId,
        message: ClientMessage,
    ) -> Result<(), Refusal> {
        self.note_message(now, who)?;
        match message {
            ClientMessage::Connect { kind } => self.connect(who, kind),
            ClientMessage::Publish { kind, layers } => self.publish(now, who, kind, layers),
            ClientMessage::Unpublish { stream } => self.unpublish(who, stream),
            ClientMessage::Subscribe { stream, max_layer } => {
                self.subscribe(who, stream, max_layer)
            }
            ClientMessage::Unsubscribe { stream } => self.unsubscribe(who, stream),
            ClientMessage::Leave => {
                self.remove_participant(who);
                Ok(())
            }
            ClientMessage::Join { .. } | ClientMessage::Resume { .. } => {
                Err(Refusal::new(ErrorCode::OutOfOrder, "this channel has joined already"))
            }
        }
    }

    fn order(&mut self, order: Order) {
        self.output(Output::Order(order));
    }

    /// To a participant, if it has a channel; one without is told the state when it resumes.
    fn tell(&mut self, who: ParticipantId, message: ServerMessage) {
        if let Some(channel) = self.participant(who).channel {
            self.output(Output::Message(channel, message));
        }
    }

    fn tell_others(&mut self, meeting: MeetingId, who: ParticipantId, message: &ServerMessage) {
        let Self { meetings, participants, outputs, .. } = self;
        let Some(meeting) = meetings.get(&meeting) else { return };
        let others = meeting.participants.values().filter(|&&other| other != who);
        let channels = others.filter_map(|other| participants.get(other)?.channel);
        outputs.extend(channels.map(|channel| Output::Message(channel, message.clone())));
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn participant(&self, who: ParticipantId) -> &Participant {
        self.participants.get(&who).expect("a participant is known until it is removed")
    }

    fn participant_mut(&mut self, who: ParticipantId) -> &mut Participant {
        self.participants.get_mut(&who).expect("a participant is known until it is removed")
    }

    fn meeting_mut(&mut self, meeting: MeetingId) -> &mut Meeting {
        self.meetings.get_mut(&meeting).expect("a meeting lasts as long as its participants")
    }
}

impl Refusal {
    fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message }
    }
}

impl From<Refusal> for ServerMessage {
    fn from(refusal: Refusal) -> Self {
        Self::Error { code: refusal.code, message: refusal.message.to_owned() }
    }
}
