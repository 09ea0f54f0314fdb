//! Participants made by hand: publishers who never pause, subscribers who come, move and go, and remember every packet.
//!
//! A packet says in its payload which it is, and the rest of it follows from that: a subscriber alone can tell whether its
//! bytes are right.

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tests::raw::{RawChannel, RawLink};
use wire::control::{ClientMessage, ServerMessage};
use wire::demux::{Class, classify};
use wire::rtp::Header;
use wire::token::Role;
use wire::{Kind, Ssrc, StreamId};

/// What a layer may take; never reached.
const BITRATE: u32 = 40_000_000;
/// Between a publisher's packets or trains.
const PAUSE: Duration = Duration::from_millis(2);
/// Packets a publisher may send again; the program remembers 256.
const AGAIN: usize = 64;
/// Nothing is under way any more so long after it was sent.
pub(crate) const CALM: Duration = Duration::from_millis(300);

/// A packet of a layer: its number at its payload's beginning, and bytes that follow from it.
fn packet(ssrc: Ssrc, number: u64, len: usize) -> Vec<u8> {
    let seq = number.to_le_bytes();
    let seq = u16::from_le_bytes([seq[0], seq[1]]);
    let header = Header { payload_type: 100, seq, ssrc: ssrc.0, ..Header::default() };
    let mut packet = Vec::new();
    header.write(&mut packet);
    packet.extend(number.to_be_bytes());
    let filler = (0..).map(|at: u64| (number.wrapping_mul(31) + at).to_le_bytes()[0]);
    packet.extend(filler.take(len));
    packet
}

/// The layer and the number a packet says it has; what it consists of follows from them.
fn read(bytes: &[u8]) -> (Ssrc, u64) {
    let ssrc = Ssrc(u32::from_be_bytes(bytes[8..12].try_into().unwrap()));
    let number = u64::from_be_bytes(bytes[12..20].try_into().unwrap());
    assert!(bytes == packet(ssrc, number, bytes.len() - 20), "other bytes than were sent");
    (ssrc, number)
}

/// Somebody who publishes without a pause.
pub(crate) struct Publisher {
    _channel: RawChannel,
    pub(crate) ssrc: Ssrc,
    pub(crate) stream: StreamId,
    /// Of the next packet.
    next: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    sending: Option<JoinHandle<()>>,
}

/// Somebody who subscribes to one stream.
pub(crate) struct Subscriber {
    channel: RawChannel,
    link: RawLink,
    stream: StreamId,
    ssrc: Ssrc,
    end: Arc<AtomicBool>,
    ears: Vec<JoinHandle<Vec<(Ssrc, u64)>>>,
    /// First number that must have come.
    from: u64,
    /// Numbers that may be missing: they were sent while the link moved.
    moved: Vec<std::ops::Range<u64>>,
}

/// A daemon's meeting, seen from its clients.
pub(crate) struct Crowd<'a> {
    pub(crate) tls: SocketAddr,
    pub(crate) dev: &'a mmr::dev::Dev,
    pub(crate) random: StdRng,
}

impl Crowd<'_> {
    /// Publishes on IPv4 (0) or IPv6 (1), in trains or singly as it comes.
    pub(crate) async fn publish(&mut self, name: &str, ip: usize) -> Publisher {
        let token = self.dev.token("crowd", name, Role::Attendee);
        let mut channel = RawChannel::join(self.tls, self.dev.ca_pem(), token).await;
        let mut link = channel.connect(Kind::Video).await;
        bind(&mut link, ip);
        let (stream, ssrc) = channel.publish(Kind::Video, BITRATE).await;
        let (next, end) = (Arc::new(AtomicU64::new(1_000)), Arc::new(AtomicBool::new(false)));
        let sending = {
            let (next, end) = (Arc::clone(&next), Arc::clone(&end));
            let random = StdRng::seed_from_u64(self.random.random());
            std::thread::spawn(move || send(&mut link, ssrc, &next, &end, random))
        };
        Publisher { _channel: channel, ssrc, stream, next, end, sending: Some(sending) }
    }

    /// Hears everything of a publisher from when this is done.
    pub(crate) async fn subscribe(&mut self, name: &str, to: &Publisher, ip: usize) -> Subscriber {
        let token = self.dev.token("crowd", name, Role::Attendee);
        let mut channel = RawChannel::join(self.tls, self.dev.ca_pem(), token).await;
        let mut link = channel.connect(Kind::Video).await;
        bind(&mut link, ip);
        let end = Arc::new(AtomicBool::new(false));
        let ears = vec![listen(&link.socket, &end)];
        let stream = to.stream;
        channel.send(&ClientMessage::Subscribe { stream, max_layer: 0 }).await;
        let subscribed =
            |message| matches!(message, ServerMessage::Subscribed { .. }).then_some(());
        channel.expect("subscribed", subscribed).await;
        // Workers are told before the client is, but take it in a turn of theirs.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let from = to.next.load(Ordering::SeqCst);
        Subscriber { channel, link, stream, ssrc: to.ssrc, end, ears, from, moved: Vec::new() }
    }
}

impl Publisher {
    pub(crate) fn sent(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        if let Some(sending) = self.sending.take() {
            sending.join().unwrap();
        }
    }
}

impl Subscriber {
    /// Goes to another port, and to IPv4 (0) or IPv6 (1). What the router sends meanwhile goes to where it was.
    pub(crate) async fn rebind(&mut self, to: &Publisher, ip: usize) {
        let began = to.sent();
        bind(&mut self.link, ip);
        self.ears.push(listen(&self.link.socket, &self.end));
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.moved.push(began.saturating_sub(8)..to.sent());
    }

    /// Ends the subscription; what was sent before `until` must have come.
    pub(crate) async fn leave(mut self, to: &Publisher) -> u64 {
        let until = to.sent().saturating_sub(8);
        // What is under way arrives.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.channel.send(&ClientMessage::Unsubscribe { stream: self.stream }).await;
        tokio::time::sleep(CALM).await;
        self.end.store(true, Ordering::SeqCst);
        let mut heard = BTreeMap::<u64, usize>::new();
        for ear in self.ears {
            for (ssrc, number) in ear.join().unwrap() {
                assert_eq!(ssrc, self.ssrc, "somebody else's media");
                *heard.entry(number).or_default() += 1;
            }
        }
        let twice: Vec<_> = heard.iter().filter(|(_, times)| **times > 1).take(8).collect();
        assert!(twice.is_empty(), "came more than once: {twice:?}");
        let is_excused = |number: &u64| self.moved.iter().any(|range| range.contains(number));
        let missing: Vec<u64> = (self.from..until)
            .filter(|number| !heard.contains_key(number) && !is_excused(number))
            .take(8)
            .collect();
        assert!(missing.is_empty(), "of {}..{until} did not come: {missing:?}", self.from);
        until.saturating_sub(self.from)
    }
}

fn bind(link: &mut RawLink, ip: usize) {
    link.socket = RawLink::socket(link.addresses.udp[ip]);
    setsockopt(&link.socket, sockopt::RcvBufForce, &(8 << 20)).unwrap();
    link.bind();
}

/// Sends until the end: half of the time a train, sometimes one of the last packets once more.
fn send(link: &mut RawLink, ssrc: Ssrc, next: &AtomicU64, end: &AtomicBool, mut random: StdRng) {
    let mut sent = VecDeque::new();
    while !end.load(Ordering::SeqCst) {
        let number = next.load(Ordering::SeqCst);
        let count = if random.random_ratio(1, 2) { 1 } else { random.random_range(2..=8) };
        let len = random.random_range(20..=1_100);
        let mut packets: Vec<Vec<u8>> =
            (number..number + count).map(|it| packet(ssrc, it, len)).collect();
        if let Some(last) = packets.last_mut() {
            *last = packet(ssrc, number + count - 1, random.random_range(0..=len));
        }
        send_train(&link.socket, &packets);
        next.store(number + count, Ordering::SeqCst);
        sent.extend(packets);
        sent.drain(..sent.len().saturating_sub(AGAIN));
        if random.random_ratio(1, 16) {
            let replay: &Vec<u8> = &sent[random.random_range(0..sent.len())];
            link.socket.send(replay).unwrap();
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends packets of the same size (the last may be shorter) as one train.
fn send_train(socket: &UdpSocket, packets: &[Vec<u8>]) {
    let bytes = packets.concat();
    let segment = u16::try_from(packets[0].len()).unwrap();
    let train = [ControlMessage::UdpGsoSegments(&segment)];
    let messages: &[ControlMessage<'_>] = if packets.len() > 1 { &train } else { &[] };
    let to = None::<&SockaddrStorage>;
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(&bytes)], messages, MsgFlags::empty(), to).unwrap();
}

/// Hears media on a socket of its own thread until the end.
fn listen(socket: &UdpSocket, end: &Arc<AtomicBool>) -> JoinHandle<Vec<(Ssrc, u64)>> {
    let (socket, end) = (socket.try_clone().unwrap(), Arc::clone(end));
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        let mut buffer = [0; 2_048];
        loop {
            match socket.recv(&mut buffer) {
                Ok(len) if classify(&buffer[..len]) == Some(Class::Rtp) => {
                    heard.push(read(&buffer[..len]));
                }
                Ok(_) => {}
                Err(_) if end.load(Ordering::SeqCst) => return heard,
                Err(_) => {}
            }
        }
    })
}
