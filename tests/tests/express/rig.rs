//! What the tests of the program share: a wire, a router's socket at its left end, and everybody else at its right.

use mmr::express::{Destination, Label, Layer, Program, Sizes};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tests::Wire;
use wire::{Bitrate, Kind, Ssrc};

pub(crate) const PORT: u16 = 8801;
pub(crate) const SSRC: Ssrc = Ssrc(0x1234_5678);
pub(crate) const GENERATION: u32 = 0x4d4d_0007;
/// The mark the copies carry.
pub(crate) const CLASS: u8 = 0xb8;

/// Nothing is expected to take longer on a wire without delay.
const PATIENCE: Duration = Duration::from_millis(500);

/// The router's end, with the program attached.
pub(crate) struct Rig {
    pub(crate) wire: Wire,
    pub(crate) program: Program,
    /// The router's socket: 10.77.0.1:8801, or its IPv6 counterpart.
    pub(crate) router: UdpSocket,
    pub(crate) publisher: UdpSocket,
    pub(crate) subscribers: Vec<UdpSocket>,
}

impl Rig {
    /// A publisher and so many subscribers, all on the wire's right end; nobody is served yet.
    pub(crate) fn new(v6: bool, subscribers: usize) -> Self {
        Self::on(Wire::new(), v6, subscribers)
    }

    pub(crate) fn on(wire: Wire, v6: bool, subscribers: usize) -> Self {
        let family = usize::from(v6);
        let left: IpAddr = Wire::LEFT[family].parse().unwrap();
        let right: IpAddr = Wire::RIGHT[family].parse().unwrap();
        let (program, router) = wire.left.run(|| {
            let mut program =
                Program::load(Sizes { links: 8_192, layers: 64, routes: 8_192 }).unwrap();
            program.attach(Wire::INTERFACE).unwrap();
            program.listen(SocketAddr::new(left, PORT), 0).unwrap();
            let router = UdpSocket::bind(SocketAddr::new(left, PORT)).unwrap();
            setsockopt(&router, sockopt::UdpGroSegment, &true).unwrap();
            (program, router)
        });
        let socket = || wire.right.run(|| UdpSocket::bind(SocketAddr::new(right, 0)).unwrap());
        let (publisher, subscribers) = (socket(), (0..subscribers).map(|_| socket()).collect());
        for socket in [&router, &publisher].into_iter().chain(&subscribers) {
            let socket: &UdpSocket = socket;
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            setsockopt(socket, sockopt::RcvBufForce, &(8 << 20)).unwrap();
        }
        publisher.connect(router.local_addr().unwrap()).unwrap();
        // Neighbours know each other before anything is counted.
        publisher.send(b"hello").unwrap();
        router.recv(&mut [0; 16]).unwrap();
        Self { wire, program, router, publisher, subscribers }
    }

    pub(crate) fn label(&self) -> Label {
        Label { socket: 0, source: self.publisher.local_addr().unwrap(), ssrc: SSRC }
    }

    pub(crate) fn layer(&self, count: usize) -> Layer {
        Layer {
            generation: GENERATION,
            chunk: 1,
            count: u32::try_from(count).unwrap(),
            index: 3,
            rate: router::Rate::of_layer(Bitrate(50_000_000)),
            size_max: 1_500,
            kind: Kind::Video,
        }
    }

    /// Where a subscriber is, by the wire.
    pub(crate) fn destination(&self, index: usize) -> Destination {
        Destination {
            index: u32::try_from(index).unwrap(),
            device: self.wire.left.run(|| if_nametoindex(Wire::INTERFACE).unwrap()),
            to_mac: self.wire.right.run(mac),
            from_mac: self.wire.left.run(mac),
            source: self.router.local_addr().unwrap(),
            remote: self.subscribers[index].local_addr().unwrap(),
            traffic_class: CLASS,
        }
    }

    /// Serves every subscriber.
    pub(crate) fn serve_all(&mut self) {
        let count = self.subscribers.len();
        let numbers: Vec<u32> = (1_000..).take(count).collect();
        for (index, number) in numbers.iter().enumerate() {
            let destination = self.destination(index);
            self.program.place(*number, &destination).unwrap();
        }
        let chunks: Vec<u32> = (1..).take(count.div_ceil(15)).collect();
        self.program.write_run(&chunks, &numbers).unwrap();
        let (label, layer) = (self.label(), self.layer(count));
        self.program.serve(&label, &layer).unwrap();
    }

    /// Sends packets of the same size (the last may be shorter) as one train.
    pub(crate) fn send_train(&self, packets: &[Vec<u8>]) {
        let bytes = packets.concat();
        let segment = u16::try_from(packets[0].len()).unwrap();
        let messages = [ControlMessage::UdpGsoSegments(&segment)];
        let fd = self.publisher.as_raw_fd();
        let to = None::<&SockaddrStorage>;
        sendmsg(fd, &[IoSlice::new(&bytes)], &messages, MsgFlags::empty(), to).unwrap();
    }
}

/// An RTP packet of `len` bytes.
pub(crate) fn rtp(seq: u16, len: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(seq.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(SSRC.0.to_be_bytes());
    packet.extend((packet.len()..len).map(|at| at.to_le_bytes()[0] ^ seq.to_le_bytes()[0]));
    packet
}

/// Everything a socket hears until it is quiet.
pub(crate) fn heard(socket: &UdpSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut buffer = vec![0; 65_536];
    let mut heard = Vec::new();
    while heard.len() < count {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { break };
        heard.push((from, buffer[..len].to_vec()));
    }
    socket.set_nonblocking(true).unwrap();
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        heard.push((from, buffer[..len].to_vec()));
    }
    socket.set_nonblocking(false).unwrap();
    heard
}

fn mac() -> [u8; 6] {
    let mut all = getifaddrs().unwrap().filter(|it| it.interface_name == Wire::INTERFACE);
    all.find_map(|it| it.address?.as_link_addr()?.addr()).unwrap()
}
