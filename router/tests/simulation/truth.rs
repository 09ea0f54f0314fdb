//! What really happened, kept apart from the routers: who proved to be where, who made what. Everything that leaves a
//! worker is held against it.

use router::{LinkSpec, Path, limits};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;
use wire::control::ServerMessage;
use wire::demux::{Class, classify};
use wire::limits::{PACKET_LEN_MAX, UFRAG_LEN};
use wire::rtcp::Report;
use wire::srtp::SessionKeys;
use wire::stun::BindingRequest;
use wire::token::Role;
use wire::{Kind, Ssrc};

/// Who a client is, as its token says.
#[derive(Clone, Debug)]
pub struct Person {
    pub name: String,
    pub meeting: String,
    pub role: Role,
    pub kinds: Vec<Kind>,
}

/// A link as its client knows it.
struct Owner {
    client: usize,
    kind: Kind,
    password: String,
    rtcp: SessionKeys,
}

pub struct Truth {
    people: Vec<Person>,
    owners: BTreeMap<[u8; UFRAG_LEN], Owner>,
    /// Publisher and kind by label.
    labels: BTreeMap<u32, (usize, Kind)>,
    /// When an authentic check came from a path.
    checks: HashMap<([u8; UFRAG_LEN], Path), Instant>,
    /// Who proved to be on a path, ever.
    present: HashSet<(usize, Path)>,
    /// RTP that came from where its publisher is, or was.
    heard: HashSet<u64>,
    /// RTP made by its publisher.
    made: HashSet<u64>,
    /// SRTCP nonces used.
    nonces: HashSet<([u8; UFRAG_LEN], u32, u32)>,
    /// Labels a liar has spoken under from their publisher's own address: nobody can tell it from the publisher.
    pub poisoned: BTreeSet<u32>,
    /// Labels whose packets a liar has said again from their publisher's address: after a silence these may pass for
    /// packets far ahead, and count as a wrap.
    pub replayed: BTreeSet<u32>,
}

impl Truth {
    pub fn new(people: Vec<Person>) -> Self {
        Self {
            people,
            owners: BTreeMap::new(),
            labels: BTreeMap::new(),
            checks: HashMap::new(),
            present: HashSet::new(),
            heard: HashSet::new(),
            made: HashSet::new(),
            nonces: HashSet::new(),
            poisoned: BTreeSet::new(),
            replayed: BTreeSet::new(),
        }
    }

    /// Whether workers can know how often a label's numbers wrapped.
    pub fn is_countable(&self, ssrc: u32) -> bool {
        !self.poisoned.contains(&ssrc) && !self.replayed.contains(&ssrc)
    }

    /// Control says something to a client: nothing of other meetings.
    pub fn note_message(&mut self, client: usize, message: &ServerMessage) {
        match message {
            ServerMessage::Link { kind, ufrag, password, srtcp_keys, .. } => {
                assert!(self.people[client].kinds.contains(kind), "a link of a forbidden kind");
                let owner = Owner {
                    client,
                    kind: *kind,
                    password: password.0.clone(),
                    rtcp: SessionKeys::derive(&srtcp_keys.mmr.0),
                };
                self.owners.entry(ufrag.as_bytes().try_into().unwrap()).or_insert(owner);
            }
            ServerMessage::Published { kind, ssrcs, .. } => {
                assert_ne!(self.people[client].role, Role::Viewer, "a viewer published");
                for ssrc in ssrcs {
                    assert!(ssrc.0 >= 256, "a label workers use themselves");
                    let before = self.labels.insert(ssrc.0, (client, *kind));
                    assert!(before.is_none(), "a label was given away twice");
                }
            }
            ServerMessage::Joined { roster, .. } => {
                roster.iter().for_each(|name| self.check_name(client, name));
            }
            ServerMessage::StreamAdded { participant, .. }
            | ServerMessage::ParticipantJoined { participant }
            | ServerMessage::ParticipantLeft { participant }
            | ServerMessage::ActiveSpeaker { participant } => self.check_name(client, participant),
            _ => {}
        }
    }

    /// A client made a packet.
    pub fn note_made(&mut self, packet: &[u8]) {
        self.made.insert(digest(packet));
    }

    /// Whether a packet is as its publisher made it.
    pub fn is_made(&self, packet: &[u8]) -> bool {
        self.made.contains(&digest(packet))
    }

    /// A packet reaches a worker from a path it may come from.
    pub fn note_heard(&mut self, path: Path, packet: &[u8], now: Instant) {
        match classify(packet) {
            Some(Class::Rtp) => {
                let ssrc = wire::rtp::Packet::parse(packet).map(|packet| packet.ssrc().0);
                let publisher = ssrc.ok().and_then(|ssrc| self.labels.get(&ssrc));
                if publisher.is_some_and(|(client, _)| self.present.contains(&(*client, path))) {
                    self.heard.insert(digest(packet));
                }
            }
            Some(Class::Stun) => {
                let Ok(request) = BindingRequest::parse(packet) else { return };
                let Ok(ufrag) = <[u8; UFRAG_LEN]>::try_from(request.ufrag.as_bytes()) else {
                    return;
                };
                let owner = self.owners.get(&ufrag);
                let authentic = |owner: &&Owner| request.is_authentic(&owner.password);
                if let Some(owner) = owner.filter(authentic) {
                    self.checks.insert((ufrag, path), now);
                    self.present.insert((owner.client, path));
                }
            }
            _ => {}
        }
    }

    /// A packet leaves a worker for a link.
    pub fn check_sent(
        &mut self,
        worker: u8,
        link: &LinkSpec,
        path: Path,
        packet: &[u8],
        now: Instant,
    ) {
        let checked_at = self.checks.get(&(link.ufrag, path));
        let checked_at =
            *checked_at.expect("something was sent to a path that never proved itself");
        assert!(
            now <= checked_at + limits::CONSENT_TIMEOUT,
            "something was sent {:?} after the last consent",
            now - checked_at
        );
        assert!(!packet.is_empty() && packet.len() <= PACKET_LEN_MAX, "no packet is that long");
        match classify(packet) {
            Some(Class::Stun) => self.check_answer(link, packet, now),
            Some(Class::Rtp) => self.check_media(link, packet),
            Some(Class::Rtcp) => self.check_rtcp(worker, link, packet),
            other => panic!("{other:?} left a worker"),
        }
    }

    /// An answer tells an address it was asked from just now. If two were asked from in one turn, both answers go to
    /// the later one: the link is there.
    fn check_answer(&self, link: &LinkSpec, packet: &[u8], now: Instant) {
        let owner = &self.owners[&link.ufrag];
        let (_, mapped) = wire::stun::parse_success(packet, &owner.password).expect("an answer");
        let asked = self.checks.iter().any(|((ufrag, path), &at)| {
            *ufrag == link.ufrag && path.remote() == mapped && at == now
        });
        assert!(asked, "an answer tells {mapped}, which did not ask");
    }

    fn check_media(&self, link: &LinkSpec, packet: &[u8]) {
        let owner = &self.owners[&link.ufrag];
        let ssrc = wire::rtp::Packet::parse(packet).expect("RTP").ssrc();
        let (publisher, kind) = *self.labels.get(&ssrc.0).expect("a label nobody publishes");
        assert_eq!(kind, owner.kind, "a layer on a link of another kind");
        self.check_meeting(owner.client, publisher);
        assert_ne!(owner.client, publisher, "a publisher got its own media");
        assert!(self.heard.contains(&digest(packet)), "a packet changed, or came from nowhere");
    }

    fn check_rtcp(&mut self, worker: u8, link: &LinkSpec, packet: &[u8]) {
        let owner = &self.owners[&link.ufrag];
        let mut plain = packet.to_vec();
        let (len, index) = owner.rtcp.unprotect_rtcp(&mut plain).expect("authentic RTCP");
        let sender = wire::rtcp::sender_ssrc(&plain[..len]).expect("a compound");
        assert_eq!(sender.0, u32::from(worker) + 1, "another worker's SSRC");
        let fresh = self.nonces.insert((link.ufrag, sender.0, index));
        assert!(fresh, "a nonce was used twice");
        let check = |ssrc: Ssrc| {
            let (publisher, _) = self.labels.get(&ssrc.0).expect("a label nobody publishes");
            self.check_meeting(owner.client, *publisher);
        };
        wire::rtcp::parse(&plain[..len], |report| match report {
            Report::Sender(info) => check(info.ssrc),
            Report::Block(block) => check(block.ssrc),
            Report::Nack { media, .. } | Report::Pli { media } => check(media),
            Report::Bye { .. } => {}
        })
        .expect("a well-formed compound");
    }

    fn check_name(&self, client: usize, name: &str) {
        let other = self.people.iter().position(|person| person.name == name);
        self.check_meeting(client, other.expect("a name nobody has"));
    }

    fn check_meeting(&self, one: usize, other: usize) {
        assert_eq!(
            self.people[one].meeting, self.people[other].meeting,
            "something crossed from one meeting into another"
        );
    }
}

fn digest(packet: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    packet.hash(&mut hasher);
    hasher.finish()
}
