//! The router as a whole: packets and orders in, transmits, messages and events out. No network, no clock: `World`
//! has the workers of one MMR and the clients' side of the wire.
#![allow(clippy::unwrap_used)] // A test that unwraps what is not there fails, as it should.

mod allocation;
mod binding;
mod express;
mod feedback;
mod forward;
mod garbage;
mod overload;

use crate::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::rtp::{AudioLevel, FrameMarking, Header};
use wire::srtp::{MasterKey, SessionKeys};
use wire::stun::{TransactionId, write_request};
use wire::{Bitrate, Kind, Ssrc, Transport};

const MEETING: MeetingId = MeetingId(1);
const PASSWORD: &str = "a password of this link";

/// Some workers with the same links and layers, and what they said.
struct World {
    workers: Vec<Router>,
    outbox: Outbox,
    now: Instant,
    events: Vec<Event>,
    changes: Vec<LinkChange>,
    rtcp_index: u32,
}

/// A packet as a client gets it.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    link: u32,
    bytes: Vec<u8>,
    /// How many packets the transmit carried.
    packets: u32,
}

impl World {
    fn new(workers: u8) -> Self {
        let now = Instant::now();
        let config = |worker| RouterConfig {
            worker: WorkerId(worker),
            workers,
            links: 64,
            layers: 64,
            routes: 256,
            history_packets: 1_024,
            started: now,
        };
        Self {
            workers: (0..workers).map(|worker| Router::new(config(worker))).collect(),
            outbox: Outbox::new(256 * 1024),
            now,
            events: Vec::new(),
            changes: Vec::new(),
            rtcp_index: 0,
        }
    }

    /// A publisher on link 0 with one layer of this kind and three bound subscribers on links 1 to 3.
    fn with_meeting(kind: Kind) -> Self {
        let mut world = Self::new(1);
        for index in 0..4 {
            world.add_link(link(index), kind);
            world.check(0, index);
        }
        world.add_layer(layer(0), 0, kind);
        for index in 1..4 {
            world.order(Order::Route { layer: layer(0), link: link(index) });
        }
        world.take();
        world
    }

    fn order(&mut self, order: Order) {
        for worker in &mut self.workers {
            worker.apply(order.clone(), self.now);
        }
    }

    fn add_link(&mut self, id: LinkId, kind: Kind) {
        self.add_link_of(MEETING, id, kind);
    }

    fn add_link_of(&mut self, meeting: MeetingId, id: LinkId, kind: Kind) {
        let keys = |side| SessionKeys::derive(&master_key(id.index, side));
        self.order(Order::AddLink(Arc::new(LinkSpec {
            id,
            meeting,
            kind,
            ufrag: ufrag(id.index).as_bytes().try_into().unwrap(),
            password: PASSWORD.into(),
            rtcp_in: keys(0),
            rtcp_out: keys(1),
        })));
    }

    fn add_layer(&mut self, id: LayerId, link_index: u32, kind: Kind) {
        self.order(Order::AddLayer(Arc::new(LayerSpec {
            id,
            link: link(link_index),
            meeting: MEETING,
            ssrc: ssrc(id.index),
            kind,
            max_bitrate: Bitrate(2_000_000),
        })));
    }

    /// The packets of `bytes`, cut every `segment` bytes, arrive at a worker.
    fn arrive(&mut self, worker: usize, path: Path, bytes: &[u8], segment: usize) {
        let segment = u16::try_from(segment).unwrap();
        let arrival = Arrival { path, slot: SlotId(7), offset: 100, bytes, segment, mark: 0 };
        self.workers[worker].handle_arrival(arrival, self.now, &mut self.outbox);
        self.exchange();
    }

    fn check(&mut self, worker: usize, index: u32) {
        self.check_from(worker, index, path(index));
    }

    fn check_from(&mut self, worker: usize, index: u32, path: Path) {
        let check = check(index, PASSWORD);
        self.arrive(worker, path, &check, check.len());
    }

    /// One packet of a layer arrives from its publisher.
    fn media(&mut self, worker: usize, index: u32, packet: &[u8]) {
        self.arrive(worker, path(index), packet, packet.len());
    }

    /// RTCP of a client, protected with its key.
    fn rtcp(
        &mut self,
        worker: usize,
        index: u32,
        write: impl FnOnce(Ssrc, &mut [u8]) -> Option<usize>,
    ) -> Vec<u8> {
        let mut packet = [0; 1_500];
        let len = write(Ssrc(1_000 + index), &mut packet[..1_400]).unwrap();
        let keys = SessionKeys::derive(&master_key(index, 0));
        let len = keys.protect_rtcp(self.rtcp_index, &mut packet, len).unwrap();
        self.rtcp_index += 1;
        self.arrive(worker, path(index), &packet[..len], len);
        packet[..len].to_vec()
    }

    /// Time passes; everything due is done at its time.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let due = self.workers.iter().map(Router::poll_timeout).min().unwrap();
            self.now = due.clamp(self.now, end);
            for worker in &mut self.workers {
                if worker.poll_timeout() <= self.now {
                    worker.handle_timeout(self.now, &mut self.outbox);
                }
            }
            self.exchange();
            if due > end {
                return;
            }
        }
    }

    /// Workers' messages reach each other, until nobody says anything.
    fn exchange(&mut self) {
        for from in 0..self.workers.len() {
            while let Some((to, message)) = self.workers[from].poll_peer() {
                for (number, worker) in self.workers.iter_mut().enumerate() {
                    let meant = to.map_or(number != from, |to| usize::from(to.0) == number);
                    if meant {
                        worker.handle_peer(message, self.now, &mut self.outbox);
                    }
                }
            }
            self.events.extend(std::iter::from_fn(|| self.workers[from].poll_event()));
            self.changes.extend(std::iter::from_fn(|| self.workers[from].poll_change()));
        }
    }

    /// Everything queued of the outbox's own arena, datagrams first.
    fn own(&mut self) -> Vec<Sent> {
        let transmits = self.outbox.datagrams().chain(self.outbox.streams());
        let own = transmits.filter(|transmit| transmit.payload.source == Source::Arena);
        let sent = own.map(|transmit| sent(transmit, self.outbox.arena(), 0)).collect();
        self.outbox.clear();
        sent
    }

    /// Everything queued of the slot whose bytes are `slot`, datagrams first.
    fn forwarded(&mut self, slot: &[u8]) -> Vec<Sent> {
        let transmits = self.outbox.datagrams().chain(self.outbox.streams());
        let media = transmits.filter(|transmit| transmit.payload.source != Source::Arena);
        let sent = media.map(|transmit| sent(transmit, slot, 100)).collect();
        self.outbox.clear();
        sent
    }

    fn take(&mut self) -> (Vec<Event>, Vec<LinkChange>) {
        self.outbox.clear();
        (std::mem::take(&mut self.events), std::mem::take(&mut self.changes))
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.workers.iter().map(|worker| worker.drops().of(reason)).sum()
    }

    /// What the MMR says to a client by RTCP: decrypts everything queued for its link.
    fn reports(&mut self, index: u32) -> Vec<wire::rtcp::Report> {
        let keys = SessionKeys::derive(&master_key(index, 1));
        let mut reports = Vec::new();
        for mut sent in self.own().into_iter().filter(|sent| sent.link == index) {
            if let Ok((len, _)) = keys.unprotect_rtcp(&mut sent.bytes) {
                wire::rtcp::parse(&sent.bytes[..len], |report| reports.push(report)).unwrap();
            }
        }
        reports
    }
}

fn sent(transmit: &Transmit, bytes: &[u8], base: u32) -> Sent {
    let start = (transmit.payload.offset - base) as usize;
    Sent {
        link: transmit.link,
        bytes: bytes[start..start + transmit.payload.len as usize].to_vec(),
        packets: transmit.payload.packets(),
    }
}

fn link(index: u32) -> LinkId {
    LinkId { index, generation: 1 }
}

fn layer(index: u32) -> LayerId {
    LayerId { index, generation: 1 }
}

fn ssrc(layer: u32) -> Ssrc {
    // These tell a beginning far from the numbers the tests use: nothing is missing in front of them.
    Ssrc(0xabcd_7000 + layer)
}

fn ufrag(link: u32) -> String {
    format!("ufrag{link:03}")
}

fn master_key(link: u32, side: u8) -> MasterKey {
    let byte = u8::try_from(link).unwrap();
    MasterKey { key: [byte; 16], salt: [side; 12] }
}

fn path(link: u32) -> Path {
    path_at(4_000 + u16::try_from(link).unwrap())
}

fn path_at(port: u16) -> Path {
    Path::Udp { socket: 0, remote: SocketAddr::from(([192, 0, 2, 1], port)) }
}

fn stream_path(connection: u64) -> Path {
    Path::Stream {
        connection: ConnectionId(connection),
        transport: Transport::Tls,
        remote: SocketAddr::from(([192, 0, 2, 1], 50_000)),
    }
}

fn check(link: u32, password: &str) -> Vec<u8> {
    let mut check = Vec::new();
    write_request(TransactionId([3; 12]), &ufrag(link), "peer", password, &mut check);
    check
}

/// A packet of a layer, `len` bytes long.
fn packet(layer: u32, seq: u16, len: usize) -> Vec<u8> {
    let header = Header { payload_type: 96, seq, ssrc: ssrc(layer).0, ..Header::default() };
    written(header, len)
}

/// The first packet of a keyframe, `len` bytes long.
fn keyframe(layer: u32, seq: u16, len: usize) -> Vec<u8> {
    let marking = FrameMarking { start: true, end: false, independent: true, discardable: false };
    let header = Header {
        payload_type: 96,
        seq,
        ssrc: ssrc(layer).0,
        frame_marking: Some(marking),
        ..Header::default()
    };
    written(header, len)
}

fn voice(layer: u32, seq: u16, level: u8) -> Vec<u8> {
    let header = Header {
        payload_type: 111,
        seq,
        ssrc: ssrc(layer).0,
        audio_level: Some(AudioLevel { voice: true, level }),
        ..Header::default()
    };
    written(header, 80)
}

fn written(header: Header, len: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    header.write(&mut packet);
    assert!(packet.len() <= len);
    let fill = header.seq.to_be_bytes()[1];
    packet.resize(len, fill);
    packet
}
