//! The control channels between clients and `Meetings`: in order, late, and cut off at times.

use super::{Asked, Happening, World};
use crate::client::State;
use rand::Rng;
use router::{ChannelId, Output, Path};
use std::time::{Duration, Instant};
use wire::control::{ClientMessage, ServerMessage};
use wire::token::Claims;

const DELAY_MAX: Duration = Duration::from_millis(30);
/// Numbers after a wrap by which it must have been heard: more than the longest outage of a link takes.
const WRAP_HEARD: u64 = 40_000;

impl World {
    /// Opens a channel and joins, or resumes.
    pub(super) fn open_channel(&mut self, client: usize) {
        let channel = ChannelId(self.channels.len() as u64);
        self.channels.insert(channel, client);
        self.channel_clock.insert(channel, self.now);
        let it = &mut self.clients[client];
        it.channel = Some(channel);
        let resume = if it.state == State::Dropped { it.resume() } else { None };
        if resume.is_none() {
            it.forget_meeting();
            it.channel = Some(channel);
        }
        it.state = State::Joining;
        self.ask(channel, resume.map_or(Asked::Join, Asked::Say));
    }

    pub(super) fn say(&mut self, client: usize, message: ClientMessage) {
        if let Some(channel) = self.clients[client].channel {
            self.ask(channel, Asked::Say(message));
        }
    }

    /// The channel is cut off; control notices at some time.
    pub(super) fn drop_channel(&mut self, client: usize) {
        if let Some(channel) = self.clients[client].channel {
            self.clients[client].lose_channel();
            self.ask(channel, Asked::Drop);
        }
    }

    fn ask(&mut self, channel: ChannelId, asked: Asked) {
        let at = self.channel_time(channel);
        self.schedule.add(at, Happening::Asked { channel, asked });
    }

    pub(super) fn asked(&mut self, channel: ChannelId, asked: Asked) {
        match asked {
            Asked::Join => {
                let claims = self.claims(self.channels[&channel]);
                self.meetings.handle_join(self.now, channel, claims);
            }
            Asked::Say(message) => self.meetings.handle_message(self.now, channel, message),
            Asked::Drop => self.meetings.handle_disconnect(self.now, channel),
        }
        self.take_outputs();
    }

    pub(super) fn take_outputs(&mut self) {
        if self.meetings.poll_timeout().is_some_and(|due| due <= self.now) {
            self.meetings.handle_timeout(self.now);
        }
        while let Some(output) = self.meetings.poll_output() {
            match output {
                Output::Order(order) => {
                    for worker in 0..self.workers.len() {
                        self.workers[worker].orders.push_back(order.clone());
                        self.schedule_turn(worker);
                    }
                }
                Output::Message(channel, message) => {
                    self.truth.note_message(self.channels[&channel], &message);
                    self.check_counter(&message);
                    self.story.messages += 1;
                    let at = self.channel_time(channel);
                    self.schedule.add(at, Happening::Told { channel, message });
                }
                Output::CloseChannel(channel) => {
                    let at = self.channel_time(channel);
                    self.schedule.add(at, Happening::ChannelClosed(channel));
                }
                Output::ClosePath(Path::Stream { connection, .. }) => {
                    self.close_stream(connection.0);
                }
                Output::ClosePath(path) => panic!("{path:?} can not be closed"),
            }
        }
    }

    /// Who begins to receive a layer is told how often its numbers wrapped: truly, once the wrap is so long ago that
    /// workers must have heard of it.
    fn check_counter(&self, message: &ServerMessage) {
        let &ServerMessage::Subscribed { stream, layer, roc } = message else { return };
        let honest = self.clients.iter().filter(|client| !client.is_malicious);
        let mut publications = honest.flat_map(|client| client.publications.values());
        let publication = publications.find(|publication| publication.stream == stream);
        let Some(layer) = publication.map(|it| &it.layers[usize::from(layer)]) else { return };
        let is_old = layer.next & 0xffff > WRAP_HEARD;
        let is_clear = self.truth.is_countable(layer.ssrc);
        if is_old && is_clear && self.conditions.peer_loss == 0.0 {
            assert_eq!(u64::from(roc), layer.next >> 16, "a wrong rollover counter was told");
        }
    }

    pub(super) fn told(&mut self, channel: ChannelId, message: ServerMessage) {
        let client = self.channels[&channel];
        let it = &mut self.clients[client];
        if it.channel != Some(channel) || it.state == State::Vanished {
            return; // the channel was cut off meanwhile
        }
        if matches!(message, ServerMessage::Error { .. }) {
            self.story.refusals += 1;
        }
        it.hear_message(message, &mut self.random);
    }

    pub(super) fn channel_closed(&mut self, channel: ChannelId) {
        let it = &mut self.clients[self.channels[&channel]];
        if it.channel == Some(channel) && it.state != State::Vanished {
            it.forget_meeting();
            it.state = State::Out;
        }
    }

    pub(super) fn claims(&self, client: usize) -> Claims {
        let person = &self.clients[client].person;
        Claims {
            aud: "zone".into(),
            meeting: person.meeting.clone(),
            sub: person.name.clone(),
            role: person.role,
            kinds: person.kinds.clone(),
            iat: 0,
            exp: 0,
            jti: String::new(),
        }
    }

    /// When something said now on a channel arrives: after all said before.
    fn channel_time(&mut self, channel: ChannelId) -> Instant {
        let delay = DELAY_MAX.mul_f64(self.random.random_range(0.0..1.0));
        let clock = self.channel_clock.get_mut(&channel).unwrap();
        *clock = (self.now + delay).max(*clock + Duration::from_nanos(1));
        *clock
    }
}
