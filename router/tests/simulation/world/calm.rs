//! After the chaos: once the network is calm everything must arrive, and once everybody is gone nothing may be left.

use super::World;
use crate::client::{Road, State};
use crate::schedule::Schedule;
use rand::Rng;
use router::{Summary, limits};
use std::time::Duration;
use wire::Kind;

/// A layer under observation: its publisher, and the numbers that must arrive.
struct Probe {
    publisher: usize,
    kind: Kind,
    ssrc: u32,
    range: std::ops::Range<u64>,
}

impl World {
    /// Nobody lies, nothing is lost, whoever dropped comes back, every link proves itself, and everybody subscribes to
    /// everything.
    pub(super) fn find_calm(&mut self) {
        self.is_calm = true;
        self.roads.mend();
        for client in 0..self.clients.len() {
            if self.clients[client].state == State::Dropped {
                self.open_channel(client);
            }
        }
        // Stragglers of the chaos first: an old check that arrives now would move a link back.
        self.run_for(Duration::from_millis(200));
        for client in 0..self.clients.len() {
            if self.clients[client].state != State::Vanished {
                self.take_roads(client);
            }
        }
        if self.conditions.overload {
            // Until everything is taken back.
            self.run_for(Duration::from_secs(20));
        }
        // Twice: a worker tells the others of a check only if it has not told them just before.
        for _ in 0..2 {
            let links = self.clients.iter_mut().flat_map(|client| client.links.values_mut());
            links.for_each(|link| link.hurry());
            self.run_for(limits::CONSENT_TOLD_INTERVAL + Duration::from_millis(200));
        }
        for client in 0..self.clients.len() {
            for request in self.clients[client].subscribe_to_all(&mut self.random) {
                self.say(client, request);
            }
        }
        self.run_for(Duration::from_millis(200));
        let publications = self.clients.iter_mut().flat_map(|it| it.publications.values_mut());
        let layers = publications.flat_map(|publication| &mut publication.layers);
        layers.for_each(|layer| {
            layer.wants_keyframe = true;
            layer.leaps = false;
        });
        self.run_for(Duration::from_secs(2));
    }

    /// Whatever is published now arrives at everybody who subscribes to it, and nobody else.
    pub(super) fn check_delivery(&mut self) {
        let mut probes = self.probes();
        self.run_for(self.conditions.tick * 8);
        for probe in &mut probes {
            let publication = self.clients[probe.publisher].publications.get_mut(&probe.kind);
            let publication = publication.expect("nobody does anything any more");
            publication.is_paused = true;
            probe.range.end = publication.layer(wire::Ssrc(probe.ssrc)).unwrap().next;
        }
        self.run_for(Duration::from_millis(500));
        for probe in &probes {
            for subscriber in 0..self.clients.len() {
                self.check_probe(probe, subscriber);
            }
        }
    }

    /// Everybody goes, in the ways people go; after the time a channel may be away nothing is left.
    pub(super) fn come_to_rest(&mut self) {
        for client in 0..self.clients.len() {
            match self.random.random_range(0..3) {
                _ if self.clients[client].state == State::Vanished => {}
                0 => self.leave(client),
                1 => self.drop_channel(client),
                _ => self.vanish(client),
            }
        }
        self.run_for(Duration::from_millis(200));
        self.clients.iter_mut().for_each(|client| client.state = State::Vanished);
        self.run_for(limits::RESUME_TIMEOUT);
        self.take_outputs();
        self.run_for(Duration::from_secs(2));
        assert_eq!(self.meetings.summary(), Summary::default(), "somebody is left");
        assert_eq!(self.meetings.occupancy(), router::Occupancy::default());
        assert_eq!(self.meetings.poll_timeout(), None);
        self.workers.iter_mut().for_each(|worker| worker.assert_rest());
        let mut connections = self.roads.connections.values();
        let left = connections.any(|connection| connection.is_open && connection.is_authenticated);
        assert!(!left, "a connection is left open");
        self.schedule = Schedule::new();
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (publisher, client) in self.clients.iter().enumerate() {
            let is_bound = |kind: Kind| client.links.get(&kind).is_some_and(|link| link.is_bound);
            let may_speak = client.state == State::In && !client.is_malicious;
            for (&kind, publication) in &client.publications {
                if !may_speak || !is_bound(kind) {
                    continue;
                }
                probes.extend(publication.layers.iter().map(|layer| Probe {
                    publisher,
                    kind,
                    ssrc: layer.ssrc,
                    range: layer.next..layer.next,
                }));
            }
        }
        probes
    }

    fn check_probe(&mut self, probe: &Probe, subscriber: usize) {
        let client = &self.clients[subscriber];
        let stream = self.clients[probe.publisher].publications[&probe.kind].stream;
        let layers = client.streams.get(&stream).map(|known| &known.layers);
        let layer =
            client.subscriptions.get(&stream).and_then(|&layer| layers?.get(usize::from(layer)));
        let wants = layer.is_some_and(|layer| layer.ssrc.0 == probe.ssrc);
        let mut numbers = probe.range.clone();
        if !wants {
            let stray = numbers.any(|number| client.has_received(probe.ssrc, number));
            assert!(!stray, "a layer nobody wants arrived");
            return;
        }
        let link = client.links.get(&probe.kind);
        let is_bound = link.is_some_and(|link| link.is_bound && link.road != Road::None);
        if client.state != State::In || !is_bound || self.truth.poisoned.contains(&probe.ssrc) {
            return;
        }
        self.story.probes += 1;
        let missing = numbers.find(|&number| !client.has_received(probe.ssrc, number));
        assert_eq!(missing, None, "client {subscriber} misses a packet of {:x}", probe.ssrc);
    }
}
