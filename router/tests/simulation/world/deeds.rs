//! What clients do of their own: come, go, ask, move, drop, vanish.

use super::{Happening, World};
use crate::client::{Road, State};
use rand::Rng;
use std::time::Duration;
use wire::Kind;
use wire::control::ClientMessage;

impl World {
    pub(super) fn deed(&mut self, client: usize) {
        if self.is_calm {
            return;
        }
        match self.clients[client].state {
            State::Out => self.open_channel(client),
            State::Dropped if self.random.random_bool(0.3) => self.open_channel(client),
            State::In => self.deed_in_meeting(client),
            State::Joining | State::Dropped | State::Vanished => {}
        }
        self.take_roads(client);
        let most = if self.clients[client].links.is_empty() { 100 } else { 1_200 };
        let again = self.within(Duration::from_millis(most));
        self.schedule.add(again, Happening::Deed(client));
    }

    fn deed_in_meeting(&mut self, client: usize) {
        match self.random.random_range(0..1_000) {
            0..5 => self.vanish(client),
            5..10 => self.leave(client),
            10..30 => {
                self.story.drops += 1;
                self.drop_channel(client);
            }
            30..90 => self.move_link(client),
            _ => {
                let it = &mut self.clients[client];
                if let Some(request) = it.request(&mut self.random) {
                    self.say(client, request);
                }
            }
        }
    }

    /// A link that has no road gets one.
    pub(super) fn take_roads(&mut self, client: usize) {
        for kind in Kind::ALL {
            let link = self.clients[client].links.get(&kind);
            if link.is_some_and(|link| link.road == Road::None) {
                if self.random.random_bool(0.2) {
                    self.connect_stream(client, kind);
                } else {
                    self.move_address(client, kind, true);
                }
            }
        }
    }

    fn move_link(&mut self, client: usize) {
        let kind = Kind::ALL[self.random.random_range(0..3)];
        let Some(link) = self.clients[client].links.get(&kind) else { return };
        match (link.road, self.random.random_range(0..3)) {
            (Road::Stream(connection), 0) => self.close_stream(connection.0),
            (_, 1) => self.connect_stream(client, kind),
            _ => {
                // A NAT gives another address, and nobody knows until the next check.
                let knows = self.random.random();
                self.move_address(client, kind, knows);
            }
        }
    }

    pub(super) fn leave(&mut self, client: usize) {
        self.say(client, ClientMessage::Leave);
    }

    /// The host loses power: nothing is closed, only the channel's end is noticed some time.
    pub(super) fn vanish(&mut self, client: usize) {
        self.story.vanished += 1;
        self.drop_channel(client);
        self.clients[client].state = State::Vanished;
    }
}
