//! What the benches have in common: one worker with one publisher and many subscribers, and packets that never
//! repeat.
//!
//! ```text
//! cargo bench -p benches                    # everything
//! cargo bench -p benches -- route/audio     # what matches
//! ```

use router::{
    Arrival, LayerId, LayerSpec, LinkId, LinkSpec, MeetingId, Order, Outbox, Path, Router,
    RouterConfig, SlotId, WorkerId, limits,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::rtp::{AudioLevel, FrameMarking, Header};
use wire::srtp::{MasterKey, SessionKeys};
use wire::stun::{TransactionId, write_request};
use wire::{Bitrate, Kind, Seq, Ssrc, rtcp};

const MEETING: MeetingId = MeetingId(1);
const LAYER: LayerId = LayerId { index: 0, generation: 1 };
const SSRC: Ssrc = Ssrc(0x1234_5678);
const PASSWORD: &str = "the password of every link here";
/// The publisher's link; subscribers follow.
const PUBLISHER: u32 = 0;
/// Between two arrivals: slow enough for the highest bitrate there is.
const PACE: Duration = Duration::from_millis(2);

/// A worker that routes one layer to bound UDP links.
pub struct Scene {
    router: Router,
    outbox: Outbox,
    now: Instant,
    rtcp_index: u32,
}

impl Scene {
    /// A layer of this kind with this many destinations.
    pub fn new(kind: Kind, destinations: u32) -> Self {
        let now = Instant::now();
        let mut router = Router::new(RouterConfig {
            worker: WorkerId(0),
            workers: 1,
            links: destinations + 1,
            layers: 1,
            routes: destinations,
            history_packets: 16_384,
            started: now,
        });
        let mut outbox = Outbox::new(1 << 20);
        for index in 0..=destinations {
            router.apply(Order::AddLink(Arc::new(link_spec(index, kind))), now);
            let check = check(index);
            let arrival = arrival(index, &check, check.len());
            router.handle_arrival(arrival, now, &mut outbox);
            outbox.clear();
        }
        router.apply(Order::AddLayer(Arc::new(layer_spec(kind))), now);
        for index in 1..=destinations {
            router.apply(Order::Route { layer: LAYER, link: link(index) }, now);
        }
        Self { router, outbox, now, rtcp_index: 0 }
    }

    /// The publisher's packets arrive, cut every `segment` bytes; answers how many transmits are queued.
    pub fn route(&mut self, bytes: &[u8], segment: usize) -> usize {
        self.now += PACE;
        self.outbox.clear();
        self.router.handle_arrival(arrival(PUBLISHER, bytes, segment), self.now, &mut self.outbox);
        limits::OUTBOX_MAX - self.outbox.room()
    }

    /// Time stands still for everything but this subscriber's RTCP, made before: answers how many packets were sent
    /// again.
    pub fn repair(&mut self, nack: &[u8]) -> usize {
        self.outbox.clear();
        self.router.handle_arrival(arrival(1, nack, nack.len()), self.now, &mut self.outbox);
        limits::OUTBOX_MAX - self.outbox.room()
    }

    /// The first subscriber's NACK for one packet.
    pub fn nack(&mut self, seq: u16) -> Vec<u8> {
        let mut packet = vec![0; 256];
        let len = rtcp::write_nack(Ssrc(1_000), SSRC, &[(Seq(seq), 0)], &mut packet)
            .expect("one entry fits");
        let len = keys(1)
            .protect_rtcp(self.rtcp_index, &mut packet, len)
            .expect("256 bytes leave room for the tag");
        self.rtcp_index += 1;
        packet.truncate(len);
        packet
    }
}

/// Packets of the layer in one piece of memory, each with a sequence number of its own that goes on and on.
pub struct Train {
    /// The packets.
    pub bytes: Vec<u8>,
    /// Length of each.
    pub segment: usize,
    next: u16,
}

impl Train {
    /// `packets` packets of `len` bytes.
    pub fn new(kind: Kind, packets: usize, len: usize) -> Self {
        let mut packet = Vec::with_capacity(len);
        let inter = FrameMarking { start: true, end: false, independent: false, discardable: true };
        let header = Header {
            payload_type: 96,
            ssrc: SSRC.0,
            audio_level: (kind == Kind::Audio).then_some(AudioLevel { voice: true, level: 40 }),
            frame_marking: (kind != Kind::Audio).then_some(inter),
            ..Header::default()
        };
        header.write(&mut packet);
        packet.resize(len, 0);
        Self { bytes: packet.repeat(packets), segment: len, next: 0 }
    }

    /// Gives every packet the next number.
    pub fn renumber(&mut self) {
        for packet in self.bytes.chunks_mut(self.segment) {
            packet[2..4].copy_from_slice(&self.next.to_be_bytes());
            self.next = self.next.wrapping_add(1);
        }
    }
}

fn arrival(link: u32, bytes: &[u8], segment: usize) -> Arrival<'_> {
    let segment = u16::try_from(segment).expect("packets are below 64 KiB");
    Arrival { path: path(link), slot: SlotId(0), offset: 0, bytes, segment }
}

fn link_spec(index: u32, kind: Kind) -> LinkSpec {
    let mut ufrag = [0; wire::limits::UFRAG_LEN];
    ufrag.copy_from_slice(self::ufrag(index).as_bytes());
    LinkSpec {
        id: link(index),
        meeting: MEETING,
        kind,
        ufrag,
        password: PASSWORD.into(),
        rtcp_in: keys(index),
        rtcp_out: keys(index),
    }
}

fn layer_spec(kind: Kind) -> LayerSpec {
    LayerSpec {
        id: LAYER,
        link: link(PUBLISHER),
        meeting: MEETING,
        ssrc: SSRC,
        kind,
        max_bitrate: Bitrate(limits::BITRATE_MAX),
    }
}

fn check(index: u32) -> Vec<u8> {
    let mut check = Vec::new();
    write_request(TransactionId([1; 12]), &ufrag(index), "peer", PASSWORD, &mut check);
    check
}

fn keys(link: u32) -> SessionKeys {
    let mut key = [7; 16];
    key[..4].copy_from_slice(&link.to_be_bytes());
    SessionKeys::derive(&MasterKey { key, salt: [9; 12] })
}

fn link(index: u32) -> LinkId {
    LinkId { index, generation: 1 }
}

fn ufrag(index: u32) -> String {
    format!("{index:08}")
}

fn path(index: u32) -> Path {
    let [_, _, high, low] = index.to_be_bytes();
    Path::Udp { socket: 0, remote: SocketAddr::from(([10, 0, high, low], 40_000)) }
}
