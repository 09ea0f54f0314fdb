//! A door with real sockets, workers that answer STUN checks and note everything else, and clients
//! to knock.

use mmr::door::{DoorConfig, DoorError, DoorHandle, DoorLimits};
use mmr::exchange::{
    ControlEvent, ControlStream, DoorOrder, Exchange, StreamArrival, StreamTransmit,
};
use mmr::network::BackendChoice;
use mmr::tls::{Identity, TlsConfigs};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use router::{ConnectionId, DropReason, Path};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wire::framing::frame;
use wire::mark::Marks;
use wire::stun::{BindingRequest, TransactionId, parse_success, write_request};
use wire::{Kind, Transport};

pub const PASSWORD: &str = "a password of twenty-two";
/// Nothing in these tests takes this long unless it failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate of its own for localhost, and what a client trusts it by.
pub fn identity() -> (Identity, CertificateDer<'static>) {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (Identity::from_files(&chain, &key).unwrap(), made.cert.der().clone())
}

/// What a worker heard that was not an authentic check.
#[derive(Debug)]
pub enum Heard {
    Packet { worker: usize, path: Path, packet: Vec<u8> },
    Closed { path: Path },
}

pub struct Rig {
    pub exchange: Arc<Exchange>,
    pub handle: Option<DoorHandle>,
    pub heard: Receiver<Heard>,
    pub ca: CertificateDer<'static>,
    tell: Sender<Heard>,
    workers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    /// Workers take nothing from their inboxes while set.
    pub asleep: Arc<AtomicBool>,
}

/// How a test wants its door.
pub struct Plan {
    pub backend: BackendChoice,
    pub limits: DoorLimits,
    pub workers: usize,
    pub marks: Marks,
}

impl Plan {
    pub fn new(backend: BackendChoice) -> Self {
        let limits = DoorLimits::default();
        Self { backend, limits, workers: 1, marks: Marks::DEFAULT }
    }

    pub fn limits(mut self, change: impl FnOnce(&mut DoorLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Opens the door on both IP versions; `None`, and said, where io_uring is asked for and
    /// forbidden.
    pub fn open(self) -> Option<Rig> {
        self.open_bare().map(Rig::with_workers)
    }

    /// The same without workers.
    pub fn open_bare(self) -> Option<Rig> {
        let exchange = Arc::new(Exchange::new(self.workers, Instant::now()).unwrap());
        let (identity, ca) = identity();
        let loopback = ["127.0.0.1:0", "[::1]:0"].map(|address| address.parse().unwrap());
        let config = DoorConfig {
            tcp: loopback.into(),
            tls: loopback.into(),
            tls_config: TlsConfigs::new(&identity).media,
            marks: self.marks,
            backend: self.backend,
            limits: self.limits,
        };
        let handle = match mmr::door::start(config, Arc::clone(&exchange)) {
            Err(DoorError::Uring(cause)) => {
                eprintln!("skipped: io_uring does not work here: {cause}");
                return None;
            }
            started => started.unwrap(),
        };
        Some(Rig::bare(exchange, handle, ca))
    }
}

impl Rig {
    fn bare(exchange: Arc<Exchange>, handle: DoorHandle, ca: CertificateDer<'static>) -> Self {
        let (stop, asleep) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (tell, heard) = channel();
        let handle = Some(handle);
        Self { exchange, handle, heard, ca, tell, workers: Vec::new(), stop, asleep }
    }

    fn with_workers(mut self) -> Self {
        for worker in 0..self.exchange.workers.len() {
            let worker = Worker {
                worker,
                exchange: Arc::clone(&self.exchange),
                tell: self.tell.clone(),
                stop: Arc::clone(&self.stop),
                asleep: Arc::clone(&self.asleep),
            };
            self.workers.push(std::thread::spawn(move || worker.run()));
        }
        self
    }

    pub fn address(&self, transport: Transport, ipv6: bool) -> SocketAddr {
        let handle = self.handle.as_ref().unwrap();
        let addresses = if transport == Transport::Tls { handle.tls() } else { handle.tcp() };
        addresses[usize::from(ipv6)]
    }

    pub fn connect(&self, transport: Transport) -> Client {
        self.connect_by(transport, false)
    }

    pub fn connect_by(&self, transport: Transport, ipv6: bool) -> Client {
        let socket = TcpStream::connect(self.address(transport, ipv6)).unwrap();
        self.speak(transport, socket)
    }

    /// A client whose own kernel takes little: the buffer is set before the connection is made, so
    /// that the window it offers is one it can hold.
    pub fn connect_small(&self, transport: Transport) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.connect(&self.address(transport, false).into()).unwrap();
        self.speak(transport, socket.into())
    }

    /// Begins to speak on a connection made elsewhere.
    pub fn speak(&self, transport: Transport, socket: TcpStream) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        if transport == Transport::Tls {
            let config = client_config(&self.ca, &["mmr-media/1"]);
            let name = socket.peer_addr().unwrap().ip().into();
            let tls = ClientConnection::new(Arc::new(config), name).unwrap();
            Client::Tls(Box::new(StreamOwned::new(tls, socket)))
        } else {
            Client::Tcp(socket)
        }
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        self.exchange.door.drops[reason as usize].load(Ordering::Relaxed)
    }

    pub fn refused(&self) -> u64 {
        self.exchange.door.refused.load(Ordering::Relaxed)
    }

    pub fn abandoned(&self) -> u64 {
        self.exchange.door.abandoned.load(Ordering::Relaxed)
    }

    pub fn open_connections(&self) -> u64 {
        self.exchange.door.connections.iter().map(|gauge| gauge.load(Ordering::Relaxed)).sum()
    }

    pub fn order(&self, order: DoorOrder) {
        assert!(self.exchange.door.orders.push(order).is_ok());
        self.exchange.door.waker.wake();
    }

    /// Sends a packet to a connection as a worker would.
    pub fn transmit(&self, connection: ConnectionId, kind: Kind, packet: &[u8], heard_at: Instant) {
        transmit(&self.exchange, connection, kind, packet, heard_at);
    }

    /// The next packet a worker heard.
    pub fn packet(&self) -> (usize, Path, Vec<u8>) {
        match self.heard.recv_timeout(PATIENCE).unwrap() {
            Heard::Packet { worker, path, packet } => (worker, path, packet),
            Heard::Closed { path } => panic!("closed instead of a packet: {path:?}"),
        }
    }

    /// The next connection a worker heard close.
    pub fn closed(&self) -> Path {
        match self.heard.recv_timeout(PATIENCE).unwrap() {
            Heard::Closed { path } => path,
            heard @ Heard::Packet { .. } => panic!("a packet instead of the end: {heard:?}"),
        }
    }

    /// The next connection passed to control.
    pub fn control_stream(&self) -> ControlStream {
        let mut stream = None;
        until("a control stream arrives", || {
            stream = self.exchange.events.pop();
            stream.is_some()
        });
        match stream {
            Some(ControlEvent::Accepted(stream)) => stream,
            _ => panic!("another event"),
        }
    }

    /// All shared buffers are back, and nobody is connected.
    pub fn assert_rest(&self) {
        until("every connection is gone", || self.open_connections() == 0);
        let all = mmr::exchange::STREAM_BUFFERS_MAX;
        until("every buffer is back", || self.exchange.door.free.len() == all);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.handle.take();
        self.stop.store(true, Ordering::Relaxed);
        self.asleep.store(false, Ordering::Relaxed);
        for (port, thread) in self.exchange.workers.iter().zip(self.workers.drain(..)) {
            port.waker.wake();
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a worker of the test panicked");
        }
    }
}

/// What stands in for a worker's router: answers authentic checks, tells the test of the rest.
struct Worker {
    worker: usize,
    exchange: Arc<Exchange>,
    tell: Sender<Heard>,
    stop: Arc<AtomicBool>,
    asleep: Arc<AtomicBool>,
}

impl Worker {
    fn run(self) {
        let port = &self.exchange.workers[self.worker];
        while !self.stop.load(Ordering::Relaxed) {
            port.waker.fall_asleep();
            if port.inbox.is_empty() || self.asleep.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(port.waker.fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::from(10_u8)).unwrap();
            }
            port.waker.awake();
            while !self.asleep.load(Ordering::Relaxed)
                && let Some(arrival) = port.inbox.pop()
            {
                self.take(arrival);
            }
        }
    }

    fn take(&self, arrival: StreamArrival) {
        match arrival {
            StreamArrival::Closed { path } => {
                // The test may be over already.
                let _ = self.tell.send(Heard::Closed { path });
            }
            StreamArrival::Packet { path, buffer, .. } => {
                let packet = buffer.packet().to_vec();
                self.exchange.door.give_back(buffer);
                if !self.answer(path, &packet) {
                    let heard = Heard::Packet { worker: self.worker, path, packet };
                    let _ = self.tell.send(heard);
                }
            }
        }
    }

    fn answer(&self, path: Path, packet: &[u8]) -> bool {
        let Ok(request) = BindingRequest::parse(packet) else { return false };
        if !request.is_authentic(PASSWORD) {
            return true;
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == request.ufrag).unwrap();
        let mut out = [0; 512];
        let len = request.write_success(path.remote(), PASSWORD, &mut out).unwrap();
        transmit(&self.exchange, connection_of(path), kind, &out[..len], Instant::now());
        true
    }
}

fn transmit(
    exchange: &Exchange,
    connection: ConnectionId,
    kind: Kind,
    packet: &[u8],
    heard_at: Instant,
) {
    let mut buffer = exchange.door.free.pop().unwrap();
    buffer.fill(packet).unwrap();
    let pushed = exchange.door.outgoing.push(StreamTransmit { connection, kind, buffer, heard_at });
    assert!(pushed.is_ok(), "the door does not keep up with the test");
    exchange.door.waker.wake();
}

pub fn connection_of(path: Path) -> ConnectionId {
    match path {
        Path::Stream { connection, .. } => connection,
        Path::Udp { .. } => panic!("not a stream path: {path:?}"),
    }
}

pub fn client_config(ca: &CertificateDer<'static>, alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(mmr::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A client's end of a connection.
pub enum Client {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Tcp(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Sends a check for a link of this kind.
    pub fn send_check(&mut self, kind: Kind, password: &str) {
        let mut request = Vec::new();
        write_request(TransactionId([7; 12]), kind.name(), "peer", password, &mut request);
        self.send(&request);
    }

    /// Proves this connection, for a link of this kind.
    pub fn check(&mut self, kind: Kind) {
        self.send_check(kind, PASSWORD);
        let answer = self.receive().unwrap();
        let (_, mapped) = parse_success(&answer, PASSWORD).unwrap();
        assert_eq!(mapped, self.socket().local_addr().unwrap());
    }

    pub fn send(&mut self, packet: &[u8]) {
        let mut bytes = Vec::new();
        frame(packet, &mut bytes);
        self.write_all(&bytes).unwrap();
    }

    /// The next frame.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 2];
        self.read_exact(&mut len)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
        self.read_exact(&mut packet)?;
        Ok(packet)
    }

    /// Waits for the door to close the connection.
    pub fn assert_closed(&mut self) {
        match self.receive() {
            Ok(packet) => panic!("a packet instead of the end: {packet:?}"),
            Err(error) => assert!(
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                "still open"
            ),
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// An RTP packet of `len` bytes that carries a number.
pub fn rtp(number: u32, len: usize) -> Vec<u8> {
    let mut packet = vec![0xab; len];
    packet[..2].copy_from_slice(&[0x80, 96]);
    packet[12..16].copy_from_slice(&number.to_be_bytes());
    packet
}

/// The number [`rtp`] put in.
pub fn number_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[12..16].try_into().unwrap())
}

/// Waits for something that happens on another thread.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
