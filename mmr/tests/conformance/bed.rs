//! A network under test with a peer to talk to, the same for all kinds of networks.

use mmr::network::poll::PollNetwork;
use mmr::network::simulated::SimulatedNetwork;
use mmr::network::sockets::{self, SocketOptions};
use mmr::network::uring::UringNetwork;
use mmr::network::{Inbox, LinkError, Network, NetworkConfig, NetworkCounters};
use mmr::packet::SLOT_LEN;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage};
use nix::sys::socket::{recvmsg, sendmsg};
use router::{DropCounters, LinkChange, Outbox, Path, Payload, Source, Transmit};
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use wire::Kind;
use wire::mark::Marks;

/// Long enough for a loaded machine; never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Slots of the inbox; few, so that tests can use them up.
pub(crate) const SLOTS: u16 = 64;
/// Links of the table.
pub(crate) const LINKS: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Which {
    Uring,
    Poll,
    Simulated,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// How a bed differs from the usual.
pub(crate) struct Options {
    pub(crate) slot_len: usize,
    pub(crate) sockets: SocketOptions,
    pub(crate) marks: Marks,
    pub(crate) address: Option<IpAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slot_len: SLOT_LEN,
            sockets: SocketOptions::default(),
            marks: Marks::DEFAULT,
            address: None,
        }
    }
}

pub(crate) struct Bed {
    network: Under,
    peer: UdpSocket,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) drops: DropCounters,
    pub(crate) waker: EventFd,
    /// The network's socket.
    pub(crate) address: SocketAddr,
}

enum Under {
    Real(Box<dyn Network>),
    Simulated(Box<SimulatedNetwork>),
}

impl Bed {
    pub(crate) fn new(which: Which, family: Family) -> Self {
        Self::with(which, family, Options::default())
    }

    pub(crate) fn with(which: Which, family: Family, options: Options) -> Self {
        let loopback = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let local = SocketAddr::new(options.address.unwrap_or(loopback), 0);
        let mut listening = sockets::open(&[local], 1, &options.sockets).unwrap();
        let (sockets, address) = (listening.workers.remove(0), listening.addresses[0]);
        let waker = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
        let bell = nix::unistd::dup(&waker).unwrap();
        let marks = options.marks;
        let inbox = Inbox::new(SLOTS, options.slot_len);
        let network = match which {
            Which::Simulated => Under::Simulated(Box::new(SimulatedNetwork::new(
                Instant::now(),
                &[address],
                LINKS,
                marks,
                bell,
            ))),
            Which::Uring => {
                let config = NetworkConfig { sockets, waker: bell, links: LINKS, marks };
                let network = UringNetwork::new(config, SLOTS);
                Under::Real(Box::new(network.expect("these tests need io_uring")))
            }
            Which::Poll => {
                let config = NetworkConfig { sockets, waker: bell, links: LINKS, marks };
                Under::Real(Box::new(PollNetwork::new(config).unwrap()))
            }
        };
        let peer = UdpSocket::bind(local).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let receive_marks = socket2::SockRef::from(&peer);
        match family {
            Family::V4 => receive_marks.set_recv_tos_v4(true).unwrap(),
            Family::V6 => receive_marks.set_recv_tclass_v6(true).unwrap(),
        }
        receive_marks.set_recv_buffer_size(4 << 20).unwrap();
        let (outbox, drops) = (Outbox::new(1 << 20), DropCounters::default());
        Self { network, peer, inbox, outbox, drops, waker, address }
    }

    /// The peer, as the network sees it.
    pub(crate) fn path(&self) -> Path {
        Path::Udp { socket: 0, remote: self.peer.local_addr().unwrap() }
    }

    /// The peer sends a datagram.
    pub(crate) fn arrive(&mut self, datagram: &[u8]) {
        let path = self.path();
        match &mut self.network {
            Under::Simulated(network) => network.arrive(path, datagram, 0),
            Under::Real(_) => {
                self.peer.send_to(datagram, self.address).unwrap();
            }
        }
    }

    /// The peer sends a train.
    pub(crate) fn arrive_train(&mut self, train: &[u8], segment: u16) {
        let path = self.path();
        match &mut self.network {
            Under::Simulated(network) => network.arrive(path, train, segment),
            Under::Real(_) => {
                let to = SockaddrStorage::from(self.address);
                let cut = [ControlMessage::UdpGsoSegments(&segment)];
                let fd = self.peer.as_raw_fd();
                sendmsg(fd, &[IoSlice::new(train)], &cut, MsgFlags::empty(), Some(&to)).unwrap();
            }
        }
    }

    /// Receives until something arrives.
    pub(crate) fn receive(&mut self) -> Instant {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.receive_until(deadline);
            if !self.inbox.is_empty() {
                return now;
            }
            assert!(now < deadline, "nothing arrived");
        }
    }

    /// Receives once.
    pub(crate) fn receive_until(&mut self, deadline: Instant) -> Instant {
        let network: &mut dyn Network = match &mut self.network {
            Under::Real(network) => &mut **network,
            Under::Simulated(network) => &mut **network,
        };
        network.receive(deadline, &mut self.inbox).unwrap()
    }

    /// All that arrived, packet by packet, until there are `count`.
    pub(crate) fn receive_packets(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while packets.len() < count {
            self.receive();
            for index in 0..self.inbox.len() {
                let arrival = self.inbox.arrival(index);
                let cut = arrival.bytes.chunks(usize::from(arrival.segment));
                packets.extend(cut.map(<[u8]>::to_vec));
            }
        }
        packets
    }

    /// Binds a link to the peer.
    pub(crate) fn bind(&mut self, link: u32, kind: Kind) {
        let path = self.path();
        self.apply(LinkChange::Bind { link, kind, path }).unwrap();
    }

    pub(crate) fn apply(&mut self, change: LinkChange) -> Result<(), LinkError> {
        self.network().apply(change)
    }

    /// Queues the arrival number `index` for a link, cut into packets of `segment` bytes.
    pub(crate) fn forward(&mut self, index: usize, link: u32, kind: Kind, segment: u16) {
        let arrival = self.inbox.arrival(index);
        let len = u32::try_from(arrival.bytes.len()).unwrap();
        let source = Source::Slot(arrival.slot);
        let payload = Payload { source, offset: arrival.offset, len, segment };
        self.outbox.forward(Transmit { link, kind, payload }).unwrap();
    }

    /// Queues a packet of our own for a link.
    pub(crate) fn reply(&mut self, link: u32, kind: Kind, packet: &[u8]) {
        let write = |room: &mut [u8]| {
            room[..packet.len()].copy_from_slice(packet);
            Some(packet.len())
        };
        let payload = self.outbox.compose(write).unwrap().unwrap();
        self.outbox.reply(Transmit { link, kind, payload }).unwrap();
    }

    /// Transmits and clears the outbox.
    pub(crate) fn transmit(&mut self) {
        let network: &mut dyn Network = match &mut self.network {
            Under::Real(network) => &mut **network,
            Under::Simulated(network) => &mut **network,
        };
        network.transmit(&self.outbox, &self.inbox, &mut self.drops);
        self.outbox.clear();
    }

    /// The next packet the peer hears, with its traffic class.
    pub(crate) fn heard(&mut self) -> (Vec<u8>, u8) {
        self.try_heard().expect("the peer hears nothing")
    }

    /// The same, or `None` when there is none: what was sent over loopback before is there already.
    pub(crate) fn heard_now(&mut self) -> Option<(Vec<u8>, u8)> {
        self.peer.set_nonblocking(true).unwrap();
        let heard = self.try_heard();
        self.peer.set_nonblocking(false).unwrap();
        heard
    }

    fn try_heard(&mut self) -> Option<(Vec<u8>, u8)> {
        if let Under::Simulated(network) = &mut self.network {
            return network.poll_sent().map(|sent| (sent.bytes, sent.traffic_class));
        }
        let mut bytes = vec![0; 1 << 16];
        let mut space = nix::cmsg_space!([i32; 2]);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let fd = self.peer.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(fd, &mut into, Some(&mut space), MsgFlags::empty()).ok()?;
        let class = message.cmsgs().unwrap().find_map(|told| match told {
            ControlMessageOwned::Ipv4Tos(tos) => Some(tos),
            ControlMessageOwned::Ipv6TClass(class) => Some(u8::try_from(class).unwrap()),
            _ => None,
        });
        let len = message.bytes;
        bytes.truncate(len);
        Some((bytes, class.expect("the peer asked for marks")))
    }

    pub(crate) fn counters(&mut self) -> NetworkCounters {
        self.network().counters()
    }

    /// The send buffer takes so many packets more; only the simulated network can be told.
    pub(crate) fn limit_sends(&mut self, packets: usize) {
        if let Under::Simulated(network) = &mut self.network {
            network.limit_sends(packets);
        }
    }

    fn network(&mut self) -> &mut dyn Network {
        match &mut self.network {
            Under::Real(network) => &mut **network,
            Under::Simulated(network) => &mut **network,
        }
    }
}

/// `len` bytes that tell a packet from others: its number, then bytes that differ from place to
/// place.
pub(crate) fn packet(number: usize, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..len).map(|i| u8::try_from((i * 7 + number) % 251).unwrap()).collect();
    let head = u32::try_from(number).unwrap().to_be_bytes();
    let head_len = head.len().min(len);
    bytes[..head_len].copy_from_slice(&head[..head_len]);
    bytes
}

/// Packets in a row.
pub(crate) fn train(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.concat()
}
