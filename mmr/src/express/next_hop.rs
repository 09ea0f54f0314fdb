//! The next hop of an address: over which device, to which MAC, from which of our addresses. What the kernel tells of
//! its devices, neighbours and routes goes in; answers come out, again whenever they change.
//!
//! Whatever is unusual has no next hop here, and so stays on the sockets: tunnels, devices that are not Ethernet, routes
//! to this host itself.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// What is asked: how packets of one of the router's sockets get to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) socket: u8,
    pub(super) remote: IpAddr,
}

impl Question {
    pub(super) fn of((socket, remote): (u8, SocketAddr)) -> Self {
        Self { socket, remote: remote.ip() }
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextHop {
    pub(super) device: u32,
    pub(super) to_mac: [u8; 6],
    pub(super) from_mac: [u8; 6],
    /// Of the packets.
    pub(super) source: SocketAddr,
    /// The largest IP packet that the device takes.
    pub(super) size_max: u32,
}

/// A device that the plane can send over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) mac: [u8; 6],
    pub(super) size_max: u32,
}

/// A route, as the kernel chose it for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) device: u32,
    /// The gateway, or the address itself.
    pub(super) via: IpAddr,
    pub(super) source: IpAddr,
}

/// What is known, and what was asked and answered.
#[derive(Default)]
pub(super) struct Book {
    /// The sockets' ports.
    ports: Vec<u16>,
    devices: HashMap<u32, Device>,
    neighbours: HashMap<(u32, IpAddr), [u8; 6]>,
    asked: HashMap<Question, Asked>,
    answers: VecDeque<(Question, Option<NextHop>)>,
}

#[derive(Default)]
struct Asked {
    route: Option<Route>,
    told: Option<NextHop>,
}

impl Book {
    pub(super) fn new(ports: Vec<u16>) -> Self {
        Self { ports, ..Self::default() }
    }

    /// All devices and neighbours there are. Answers are looked at again by [`Book::answer`].
    pub(super) fn replace(
        &mut self,
        devices: HashMap<u32, Device>,
        neighbours: HashMap<(u32, IpAddr), [u8; 6]>,
    ) {
        (self.devices, self.neighbours) = (devices, neighbours);
    }

    /// A device is there, is otherwise, or (`None`) can't be used.
    pub(super) fn note_device(&mut self, index: u32, device: Option<Device>) {
        let before = match device {
            Some(device) => self.devices.insert(index, device),
            None => self.devices.remove(&index),
        };
        if before != device {
            self.answer(|route| route.device == index);
        }
    }

    /// A neighbour has this MAC, or (`None`) none that is known.
    pub(super) fn note_neighbour(&mut self, device: u32, address: IpAddr, mac: Option<[u8; 6]>) {
        let before = match mac {
            Some(mac) => self.neighbours.insert((device, address), mac),
            None => self.neighbours.remove(&(device, address)),
        };
        if before != mac {
            self.answer(|route| route.device == device && route.via == address);
        }
    }

    pub(super) fn ask(&mut self, question: Question) {
        self.asked.entry(question).or_default();
    }

    pub(super) fn forget(&mut self, question: &Question) {
        self.asked.remove(question);
    }

    /// The route of an address that was asked for.
    pub(super) fn note_route(&mut self, question: &Question, route: Option<Route>) {
        if let Some(asked) = self.asked.get_mut(question) {
            asked.route = route;
            self.answer_one(*question);
        }
    }

    /// Everything asked and not forgotten.
    pub(super) fn questions(&self) -> Vec<Question> {
        self.asked.keys().copied().collect()
    }

    /// The next answer that is new.
    pub(super) fn poll_answer(&mut self) -> Option<(Question, Option<NextHop>)> {
        self.answers.pop_front()
    }

    /// Looks again at all answers that depend on some routes.
    pub(super) fn answer(&mut self, concerned: impl Fn(&Route) -> bool) {
        let concerned = |(question, asked): (&Question, &Asked)| {
            asked.route.as_ref().is_some_and(&concerned).then_some(*question)
        };
        let questions: Vec<Question> = self.asked.iter().filter_map(concerned).collect();
        questions.into_iter().for_each(|question| self.answer_one(question));
    }

    fn answer_one(&mut self, question: Question) {
        let Some(route) = self.asked.get(&question).map(|asked| asked.route) else { return };
        let next_hop = route.and_then(|route| self.resolve(&question, &route));
        let Some(asked) = self.asked.get_mut(&question) else { return };
        if asked.told != next_hop {
            asked.told = next_hop;
            self.answers.push_back((question, next_hop));
        }
    }

    fn resolve(&self, question: &Question, route: &Route) -> Option<NextHop> {
        let device = self.devices.get(&route.device)?;
        let to_mac = *self.neighbours.get(&(route.device, route.via))?;
        let port = *self.ports.get(usize::from(question.socket))?;
        Some(NextHop {
            device: route.device,
            to_mac,
            from_mac: device.mac,
            source: SocketAddr::new(route.source, port),
            size_max: device.size_max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question =
        Question { socket: 0, remote: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)) };

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn book() -> Book {
        let mut book = Book::new(vec![8801]);
        book.ask(QUESTION);
        book.note_device(7, Some(Device { mac: [7; 6], size_max: 1_500 }));
        let route = Route { device: 7, via: ip("192.0.2.1"), source: ip("192.0.2.2") };
        book.note_route(&QUESTION, Some(route));
        book
    }

    #[test]
    fn an_answer_waits_for_its_neighbour_and_follows_it() {
        let mut book = book();
        assert_eq!(book.poll_answer(), None);
        book.note_neighbour(7, ip("192.0.2.3"), Some([3; 6]));
        assert_eq!(book.poll_answer(), None);
        for mac in [Some([1; 6]), Some([2; 6]), None] {
            book.note_neighbour(7, ip("192.0.2.1"), mac);
            let (_, answer) = book.poll_answer().expect("it has changed");
            assert_eq!(answer.map(|next_hop| next_hop.to_mac), mac);
            book.note_neighbour(7, ip("192.0.2.1"), mac);
            assert_eq!(book.poll_answer(), None);
        }
    }

    #[test]
    fn a_device_that_goes_takes_its_answers_along() {
        let mut book = book();
        book.note_neighbour(7, ip("192.0.2.1"), Some([1; 6]));
        let (_, answer) = book.poll_answer().expect("all is known");
        let answer = answer.expect("all is known");
        assert_eq!(answer.source, SocketAddr::new(ip("192.0.2.2"), 8801));
        book.note_device(7, None);
        assert_eq!(book.poll_answer(), Some((QUESTION, None)));
        book.forget(&QUESTION);
        book.note_device(7, Some(Device { mac: [7; 6], size_max: 1_500 }));
        assert_eq!(book.poll_answer(), None);
    }
}
