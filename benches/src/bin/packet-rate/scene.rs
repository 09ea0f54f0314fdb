//! A contender in its place: running, with everybody who sends and receives joined to it.

pub(crate) use crate::child::Answer;
use crate::child::{self, Process};
use crate::error::BenchError;
use crate::floor::{Floor, Table};
use crate::gathering::Gathering;
use crate::load::{Flow, Load};
use crate::member::PAYLOAD_TYPE;
use crate::meter;
use crate::rig::{LOAD_CPU, ROUTER_CPU, Rig};
use crate::shape::Shape;
use crate::sink::Sink;
use crate::strangers;
use mmr::dev::Dev;
use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use wire::Kind;
use wire::control::Addresses;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Contender {
    /// The router on io_uring, with the express plane: what the kernel can, it replicates.
    Express,
    /// The router on io_uring, everything on the sockets.
    Uring,
    /// The router on epoll, recvmmsg and sendmmsg.
    Poll,
    /// recvmmsg → sendmmsg, no parsing.
    Floor,
    /// The same in trains.
    FloorGso,
    /// The floor with one system call a datagram.
    FloorOne,
    /// The floor with a DSCP mark in a control message.
    FloorMarked,
    /// The floor with "don't fragment", and no path's MTU looked up.
    FloorWhole,
    /// floor-one, with a connected socket for each destination.
    FloorConnected,
}

impl Contender {
    /// Who has a turn when nobody was chosen, in this order.
    pub(crate) const USUAL: [Self; 5] =
        [Self::Floor, Self::Express, Self::Uring, Self::FloorGso, Self::Poll];

    /// In tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Express => "express",
            Self::Uring => "uring",
            Self::Poll => "poll",
            Self::Floor => "floor",
            Self::FloorGso => "floor-gso",
            Self::FloorOne => "floor-one",
            Self::FloorMarked => "floor-marked",
            Self::FloorWhole => "floor-whole",
            Self::FloorConnected => "floor-connected",
        }
    }

    /// Which floor it is.
    const fn floor(self) -> Option<Floor> {
        match self {
            Self::Express | Self::Uring | Self::Poll => None,
            Self::Floor => Some(Floor::Plain),
            Self::FloorGso => Some(Floor::Gso),
            Self::FloorOne => Some(Floor::One),
            Self::FloorMarked => Some(Floor::Marked),
            Self::FloorWhole => Some(Floor::Whole),
            Self::FloorConnected => Some(Floor::Connected),
        }
    }

    /// The workers' backend, as mmr.toml names it, and whether the express plane is on.
    const fn router(self) -> (&'static str, &'static str) {
        match self {
            Self::Express => ("uring", "on"),
            Self::Poll => ("poll", "off"),
            _ => ("uring", "off"),
        }
    }

    /// Whether it is ours.
    pub(crate) const fn is_router(self) -> bool {
        self.floor().is_none()
    }

    /// Whether what came as a train leaves as one.
    const fn sends_trains(self) -> bool {
        matches!(self.floor(), None | Some(Floor::Gso))
    }
}

/// A contender that is ready for load.
pub(crate) struct Scene {
    /// Publishers.
    pub(crate) load: Load,
    /// Subscribers: one class per kind of the shape, in its order.
    pub(crate) sink: Sink,
    /// Destination ports of each kind, in the shape's order.
    pub(crate) ports: Vec<Vec<u16>>,
    /// Consent and channels of a router's participants. Dropped before the process, which ends when its standard input
    /// does: their threads hold that too.
    _gathering: Option<Gathering>,
    process: Process,
    contender: Contender,
    _dev: Option<Dev>,
}

/// Sockets of everybody, by what they are for.
pub(crate) struct Sockets {
    /// For each kind of the shape: who sends, with their labels.
    pub(crate) publishers: Vec<Vec<(UdpSocket, u32)>>,
    /// For each kind of the shape: who receives. Empty when there are too many; they are then counted, not timed.
    pub(crate) subscribers: Vec<Vec<UdpSocket>>,
    /// For each kind of the shape: the ports of all who receive.
    pub(crate) ports: Vec<Vec<u16>>,
}

impl Sockets {
    /// None yet, of so many kinds.
    pub(crate) fn none(kinds: usize) -> Self {
        Self {
            publishers: (0..kinds).map(|_| Vec::new()).collect(),
            subscribers: (0..kinds).map(|_| Vec::new()).collect(),
            ports: vec![Vec::new(); kinds],
        }
    }
}

impl Scene {
    /// Starts a contender and brings everybody in.
    ///
    /// # Errors
    /// It does not start, or turns somebody away.
    pub(crate) fn new(rig: &Rig, contender: Contender, shape: &Shape) -> Result<Self, BenchError> {
        match contender.floor() {
            None => Self::with_router(rig, contender, shape),
            Some(floor) => Self::with_floor(rig, contender, floor, shape),
        }
    }

    fn with_router(rig: &Rig, contender: Contender, shape: &Shape) -> Result<Self, BenchError> {
        let dev = Dev::temporary().map_err(|cause| BenchError::part("router", cause))?;
        let file = dev.dir().join("bench.toml");
        std::fs::write(&file, configuration(rig, contender, shape))
            .map_err(|cause| BenchError::part("router", cause))?;
        let path = file.to_string_lossy().into_owned();
        let mut process = rig.at_router(|| Process::start(&[child::ROUTER, &path]))?;
        let addresses: Addresses = serde_json::from_str(&process.hear()?)
            .map_err(|cause| BenchError::part("router", cause))?;
        let (gathering, sockets) = Gathering::join(rig, &dev, addresses.tls[0], shape)?;
        Self::assemble(rig, shape, contender, process, sockets, Some(gathering), Some(dev))
    }

    fn with_floor(
        rig: &Rig,
        contender: Contender,
        floor: Floor,
        shape: &Shape,
    ) -> Result<Self, BenchError> {
        let mut process = rig.at_router(|| Process::start(&[child::FLOOR, floor.name()]))?;
        let (sockets, routes) = rig.at_load(|| strangers::strangers(rig.load_ip(), shape))?;
        let table = Table { listen: (rig.router_ip(), 0).into(), routes };
        let line =
            serde_json::to_string(&table).map_err(|cause| BenchError::part("floor", cause))?;
        process.say(&line)?;
        let address: SocketAddr = serde_json::from_str(&process.hear()?)
            .map_err(|cause| BenchError::part("floor", cause))?;
        for (socket, _) in sockets.publishers.iter().flatten() {
            socket.connect(address).map_err(|cause| BenchError::part("load", cause))?;
        }
        Self::assemble(rig, shape, contender, process, sockets, None, None)
    }

    fn assemble(
        rig: &Rig,
        shape: &Shape,
        contender: Contender,
        process: Process,
        sockets: Sockets,
        gathering: Option<Gathering>,
        dev: Option<Dev>,
    ) -> Result<Self, BenchError> {
        let flows = shape.media.iter().zip(sockets.publishers).flat_map(|(media, publishers)| {
            publishers.into_iter().map(|(socket, ssrc)| Flow {
                socket,
                ssrc,
                payload_type: PAYLOAD_TYPE,
                packet_bytes: media.packet_bytes,
                frame_packets: media.frame_packets,
                frames_per_s: media.frames_per_s,
            })
        });
        let load = Load::new(flows.collect())?;
        let ports = sockets.ports;
        let sink = Sink::start(sockets.subscribers, |body| rig.spawn_at_load(body))?;
        Ok(Self { load, sink, ports, process, contender, _gathering: gathering, _dev: dev })
    }

    /// Time its forwarding threads had so far.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn thread_time(&self) -> Result<Duration, BenchError> {
        let pid = self.process.pid();
        let threads = match self.contender.is_router() {
            true => meter::threads(pid, child::WORKER).map_err(gone)?,
            false => vec![pid],
        };
        threads.into_iter().map(|tid| meter::thread_time(pid, tid).map_err(gone)).sum()
    }

    /// Whether it is ours.
    pub(crate) fn is_router(&self) -> bool {
        self.contender.is_router()
    }

    /// Whether what came as a train leaves as one.
    pub(crate) fn sends_trains(&self) -> bool {
        self.contender.sends_trains()
    }

    /// A router's own counts; `None` of a floor, which counts nothing.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn ask(&mut self) -> Result<Option<Answer>, BenchError> {
        if !self.contender.is_router() {
            return Ok(None);
        }
        self.process.say("stats")?;
        let line = self.process.hear()?;
        serde_json::from_str(&line).map(Some).map_err(|cause| BenchError::part("router", cause))
    }

    /// Resident memory of the process, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1_024
    }
}

/// The router's configuration: defaults, but for room and where it runs.
fn configuration(rig: &Rig, contender: Contender, shape: &Shape) -> String {
    let cores = match shape.workers {
        2 => format!("[{ROUTER_CPU}, {LOAD_CPU}]"),
        _ => format!("[{ROUTER_CPU}]"),
    };
    let people = (shape.participants() + shape.idle_links.div_ceil(3)).max(64);
    let links = 2 * people + shape.idle_links;
    let routes = (shape.participants() * shape.publishers() * 2).max(1 << 14);
    let (backend, express) = contender.router();
    let per_meeting = (shape.publishers() + shape.subscribers + 64).max(1_024);
    let mut text = String::new();
    let _ = write!(
        text,
        "zone = \"{zone}\"\n\
         [listen]\naddresses = [\"{ip}\"]\nmedia_port = 0\ntls_port = 0\n\
         [workers]\ncount = {workers}\ncores = {cores}\nbackend = \"{backend}\"\nexpress = \"{express}\"\n\
         [tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"\n\
         [tokens]\nkeys = \"token-keys.json\"\n\
         [limits]\nlinks = {links}\nlayers = {layers}\nroutes = {routes}\n\
         channels = {channels}\nchannels_per_address = {channels}\n\
         participants_per_meeting = {per_meeting}\n\
         [admin]\nsocket = \"\"\n[log]\nfilter = \"error\"\n",
        zone = mmr::dev::ZONE,
        ip = rig.router_ip(),
        workers = shape.workers,
        layers = links.max(64),
        channels = people + 64,
    );
    text
}

fn gone(cause: std::io::Error) -> BenchError {
    BenchError::part("contender", cause)
}

/// Of a kind's name in tables.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
        Kind::Content => "content",
    }
}
