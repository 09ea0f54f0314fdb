//! One worker's router with bound UDP links, some of them publishing a layer.

use router::{
    Arrival, LayerId, LayerSpec, LinkId, LinkSpec, MeetingId, NackSet, Order, Outbox, Path,
    PeerMessage, Router, RouterConfig, SlotId, WorkerId, limits,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::srtp::{MasterKey, SessionKeys};
use wire::{Bitrate, Kind, Seq, Ssrc};

/// The password of every link.
pub(crate) const PASSWORD: &str = "the password of every link here";
const MEETING: MeetingId = MeetingId(1);
/// There is one worker, and it hears everybody.
const WORKER: WorkerId = WorkerId(0);

/// A router whose links are all bound. Link `i` publishes layer `i`, if there is one.
pub(crate) struct Scene {
    pub(crate) router: Router,
    pub(crate) outbox: Outbox,
    pub(crate) now: Instant,
    links: u32,
}

impl Scene {
    /// So many links, the first of which publish so many layers, which nobody gets yet.
    pub(crate) fn new(kind: Kind, links: u32, layers: u32) -> Self {
        let now = Instant::now();
        let mut router = Router::new(RouterConfig {
            worker: WORKER,
            workers: 1,
            links,
            layers,
            routes: links,
            history_packets: 16_384,
            started: now,
        });
        let mut outbox = Outbox::new(1 << 20);
        for index in 0..links {
            router.apply(Order::AddLink(Arc::new(link_spec(index, kind))), now);
            // As a worker hears of it from another: without the check's cryptography, as often as we like.
            let (link, path) = (link(index), path(index));
            let bound = PeerMessage::Bound { link, path, worker: WORKER, at: now };
            router.handle_peer(bound, now, &mut outbox);
        }
        assert_eq!(router.occupancy().paths, links, "every link is bound");
        for index in 0..layers {
            router.apply(Order::AddLayer(Arc::new(layer_spec(index, kind))), now);
        }
        Self { router, outbox, now, links }
    }

    /// Layer 0, published by link 0, with so many destinations.
    pub(crate) fn fan_out(kind: Kind, destinations: u32) -> Self {
        let mut scene = Self::new(kind, destinations + 1, 1);
        for index in 1..scene.links {
            let order = Order::Route { layer: layer(0), link: link(index) };
            scene.router.apply(order, scene.now);
        }
        scene
    }

    /// Bytes come from where link `from` is, cut every `segment` bytes, this long after the last; answers how many
    /// transmits are queued.
    pub(crate) fn hear(
        &mut self,
        from: u32,
        bytes: &[u8],
        segment: usize,
        later: Duration,
    ) -> usize {
        self.now += later;
        self.outbox.clear();
        let segment = u16::try_from(segment).expect("packets are below 64 KiB");
        let arrival =
            Arrival { path: path(from), slot: SlotId(0), offset: 0, bytes, segment, mark: 0 };
        self.router.handle_arrival(arrival, self.now, &mut self.outbox);
        self.queued()
    }

    /// Link 1 misses a packet of layer 0, as another worker passes it on; answers how many are queued.
    pub(crate) fn hear_nack(&mut self, lost: Seq, later: Duration) -> usize {
        self.now += later;
        self.outbox.clear();
        let mut set = NackSet::EMPTY;
        set.add(lost);
        let nack = PeerMessage::Nack { layer: layer(0), link: link(1), lost: set };
        self.router.handle_peer(nack, self.now, &mut self.outbox);
        self.queued()
    }

    fn queued(&self) -> usize {
        limits::OUTBOX_MAX - self.outbox.room()
    }
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
        rtcp_in: keys(),
        rtcp_out: keys(),
    }
}

fn layer_spec(index: u32, kind: Kind) -> LayerSpec {
    LayerSpec {
        id: layer(index),
        link: link(index),
        meeting: MEETING,
        ssrc: ssrc(index),
        kind,
        max_bitrate: Bitrate(limits::BITRATE_MAX),
    }
}

/// Session keys as every link here has them.
pub(crate) fn keys() -> SessionKeys {
    SessionKeys::derive(&MasterKey { key: [7; 16], salt: [9; 12] })
}

/// The label of layer `index`; scattered, as random ones are.
pub(crate) fn ssrc(index: u32) -> Ssrc {
    // An odd factor, so that no two meet; far above the SSRCs that workers have.
    Ssrc((index + 1).wrapping_mul(0x9e37_79b1))
}

fn link(index: u32) -> LinkId {
    LinkId { index, generation: 1 }
}

fn layer(index: u32) -> LayerId {
    LayerId { index, generation: 1 }
}

/// The user fragment of link `index`.
pub(crate) fn ufrag(index: u32) -> String {
    format!("{index:08}")
}

/// Where link `index` is.
pub(crate) fn path(index: u32) -> Path {
    let [_, b, c, d] = index.to_be_bytes();
    Path::Udp { socket: 0, remote: SocketAddr::from(([10, b, c, d], 40_000)) }
}
