//! A meeting as a worker sees it: orders of a control thread that is the test, and clients on real
//! sockets.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "not every test uses all of it")]

use mmr::exchange::{Exchange, WorkerOrder};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use router::{LayerId, LayerSpec, LinkId, LinkSpec, MeetingId, Order, RouterConfig, WorkerId};
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::rtp::{FrameMarking, Header};
use wire::srtp::{MasterKey, RTCP_OVERHEAD, SessionKeys};
use wire::stun::{self, TransactionId};
use wire::{Bitrate, Kind, Seq, Ssrc, rtcp};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn router_config(worker: u8, workers: u8) -> RouterConfig {
    RouterConfig {
        worker: WorkerId(worker),
        workers,
        links: 64,
        layers: 64,
        routes: 1_024,
        history_packets: 8_192,
        started: Instant::now(),
    }
}

pub(crate) fn link_id(index: u32) -> LinkId {
    LinkId { index, generation: 1 }
}

pub(crate) fn layer_id(index: u32) -> LayerId {
    LayerId { index, generation: 1 }
}

pub(crate) fn layer_ssrc(index: u32) -> Ssrc {
    Ssrc(0x1000 + index)
}

/// What control tells a worker.
pub(crate) struct Control<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) worker: usize,
}

impl Control<'_> {
    pub(crate) fn order(&self, order: WorkerOrder) {
        let port = &self.exchange.workers[self.worker];
        assert!(port.orders.push(order).is_ok(), "the queue of orders is full");
        port.waker.wake();
    }

    pub(crate) fn add_link(&self, index: u32, kind: Kind) {
        let link = LinkSpec {
            id: link_id(index),
            meeting: MeetingId(1),
            kind,
            ufrag: ufrag(index).as_bytes().try_into().unwrap(),
            password: password(index),
            rtcp_in: keys(index, 1),
            rtcp_out: keys(index, 2),
        };
        self.order(WorkerOrder::Router(Order::AddLink(Arc::new(link))));
    }

    pub(crate) fn add_layer(&self, index: u32, link: u32, kind: Kind) {
        let layer = LayerSpec {
            id: layer_id(index),
            link: link_id(link),
            meeting: MeetingId(1),
            ssrc: layer_ssrc(index),
            kind,
            max_bitrate: Bitrate(router::limits::BITRATE_MAX),
        };
        self.order(WorkerOrder::Router(Order::AddLayer(Arc::new(layer))));
    }

    pub(crate) fn route(&self, layer: u32, link: u32) {
        let (layer, link) = (layer_id(layer), link_id(link));
        self.order(WorkerOrder::Router(Order::Route { layer, link }));
    }

    pub(crate) fn unroute(&self, layer: u32, link: u32) {
        let (layer, link) = (layer_id(layer), link_id(link));
        self.order(WorkerOrder::Router(Order::Unroute { layer, link }));
    }
}

/// A participant's end of a link.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    router: SocketAddr,
    link: u32,
    checks: u64,
    rtcp_index: u32,
    rtcp_keys: SessionKeys,
}

impl Client {
    pub(crate) fn new(link: u32, router: SocketAddr) -> Self {
        let socket = UdpSocket::bind(SocketAddr::new(router.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let rtcp_keys = keys(link, 1);
        Self { socket, router, link, checks: 0, rtcp_index: 0, rtcp_keys }
    }

    /// Sends a STUN check.
    pub(crate) fn check(&mut self) {
        self.checks += 1;
        self.socket.send_to(&check(self.link, self.checks), self.router).unwrap();
    }

    /// Waits for the answer to a check, and passes over everything else.
    pub(crate) fn hear_answer(&mut self) {
        let mut answer = [0; 2_048];
        loop {
            let len = self.socket.recv(&mut answer).expect("no answer to a check");
            if stun::parse_success(&answer[..len], &password(self.link)).is_ok() {
                return;
            }
        }
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        self.socket.send_to(packet, self.router).unwrap();
    }

    /// Sends packets of equal size as a train.
    pub(crate) fn send_train(&self, packets: &[u8], segment: u16) {
        let to = SockaddrStorage::from(self.router);
        let cut = [ControlMessage::UdpGsoSegments(&segment)];
        let fd = self.socket.as_raw_fd();
        sendmsg(fd, &[IoSlice::new(packets)], &cut, MsgFlags::empty(), Some(&to)).unwrap();
    }

    /// Asks for `first` and the 16 packets behind it again.
    pub(crate) fn send_nack(&mut self, media: Ssrc, first: Seq) {
        let mut packet = [0; 256];
        let sender = Ssrc(0x1_0000 + self.link);
        let len = rtcp::write_nack(sender, media, &[(first, 0xffff)], &mut packet).unwrap();
        self.send_rtcp(&mut packet, len);
    }

    pub(crate) fn send_pli(&mut self, media: Ssrc) {
        let mut packet = [0; 256];
        let len = rtcp::write_pli(Ssrc(0x1_0000 + self.link), media, &mut packet).unwrap();
        self.send_rtcp(&mut packet, len);
    }

    fn send_rtcp(&mut self, packet: &mut [u8], len: usize) {
        assert!(len + RTCP_OVERHEAD <= packet.len());
        self.rtcp_index += 1;
        let len = self.rtcp_keys.protect_rtcp(self.rtcp_index, packet, len).unwrap();
        self.send(&packet[..len]);
    }
}

/// A STUN check for a link.
pub(crate) fn check(link: u32, number: u64) -> Vec<u8> {
    let mut transaction = [0; 12];
    transaction[..8].copy_from_slice(&number.to_be_bytes());
    let mut request = Vec::new();
    let (ufrag, password) = (ufrag(link), password(link));
    stun::write_request(TransactionId(transaction), &ufrag, "peer", &password, &mut request);
    request
}

/// An RTP packet of `len` bytes.
pub(crate) fn rtp(ssrc: Ssrc, seq: u16, len: usize) -> Vec<u8> {
    let marking = FrameMarking {
        start: true,
        end: true,
        independent: seq.is_multiple_of(256),
        discardable: false,
    };
    let header = Header {
        payload_type: 96,
        seq,
        timestamp: u32::from(seq) * 90,
        ssrc: ssrc.0,
        frame_marking: Some(marking),
        ..Header::default()
    };
    let mut packet = Vec::new();
    header.write(&mut packet);
    packet.resize(len, 0x5a);
    packet
}

fn ufrag(link: u32) -> String {
    format!("ufrag{link:03}")
}

fn password(link: u32) -> String {
    format!("password-of-a-link-{link:05}")
}

fn keys(link: u32, direction: u8) -> SessionKeys {
    let mut salt = [direction; 12];
    salt[..4].copy_from_slice(&link.to_be_bytes());
    SessionKeys::derive(&MasterKey { key: [direction; 16], salt })
}
