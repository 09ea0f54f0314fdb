//! The program in the kernel (mmr/bpf/express.c) and its tables. Gone when dropped, or when the process ends, however
//! that ends: what holds a tcx link is a descriptor.

use super::ExpressError;
use super::layout::{
    ChunkValue, Destination, DestinationValue, Label, Layer, LayerKey, LayerValue, ListenKey,
    TallyValue, listen_key,
};
use super::limits::{self, CHUNK};
use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfLoader};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Built by mmr/bpf/build.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/express.o");

/// Room in the tables.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Links.
    pub links: u32,
    /// Layers.
    pub layers: u32,
    /// Routes.
    pub routes: u32,
}

/// The program, loaded.
pub struct Program {
    listens: HashMap<MapData, ListenKey, u32>,
    layers: HashMap<MapData, LayerKey, LayerValue>,
    destinations: HashMap<MapData, u32, DestinationValue>,
    chunks: Array<MapData, ChunkValue>,
    by_layer: PerCpuArray<MapData, TallyValue>,
    by_link: PerCpuArray<MapData, TallyValue>,
    outcomes: PerCpuArray<MapData, u64>,
    sent: PerCpuArray<MapData, TallyValue>,
    waits: PerCpuArray<MapData, u64>,
    /// Holds the program and its links.
    ebpf: Ebpf,
}

impl Program {
    /// Loads it; the verifier looks at it here.
    ///
    /// # Errors
    /// The kernel refuses: too old, or a capability is missing.
    pub fn load(sizes: Sizes) -> Result<Self, ExpressError> {
        let chunks = limits::chunks(sizes.layers, sizes.routes);
        let mut loader = EbpfLoader::new();
        loader
            .map_max_entries("layers", sizes.layers)
            .map_max_entries("memories", sizes.layers)
            .map_max_entries("by_layer", sizes.layers)
            .map_max_entries("destinations", sizes.links)
            .map_max_entries("by_link", sizes.links)
            .map_max_entries("chunks", chunks);
        let mut ebpf = loader.load(OBJECT).map_err(ExpressError::refused)?;
        classifier(&mut ebpf)?.load().map_err(ExpressError::refused)?;
        Ok(Self {
            listens: table(&mut ebpf, "listens")?,
            layers: table(&mut ebpf, "layers")?,
            destinations: table(&mut ebpf, "destinations")?,
            chunks: table(&mut ebpf, "chunks")?,
            by_layer: table(&mut ebpf, "by_layer")?,
            by_link: table(&mut ebpf, "by_link")?,
            outcomes: table(&mut ebpf, "outcomes")?,
            sent: table(&mut ebpf, "sent")?,
            waits: table(&mut ebpf, "waits")?,
            ebpf,
        })
    }

    /// Attaches it to an interface of the calling thread's network, before whatever is attached there later.
    ///
    /// # Errors
    /// No such interface, or no tcx links: Linux before 6.6.
    pub fn attach(&mut self, interface: &str) -> Result<(), ExpressError> {
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        let attached = classifier(&mut self.ebpf)?.attach_with_options(
            interface,
            TcAttachType::Ingress,
            order,
        );
        attached.map_err(ExpressError::refused)?;
        Ok(())
    }

    /// The program itself, for the kernel's test runs.
    ///
    /// # Errors
    /// Never for a program that was loaded.
    pub fn fd(&self) -> Result<BorrowedFd<'_>, ExpressError> {
        let program = self.ebpf.program("express").ok_or_else(|| ExpressError::refused(MISSING))?;
        Ok(program.fd().map_err(ExpressError::refused)?.as_fd())
    }

    /// Takes what comes to a local address as the router's socket of that number.
    ///
    /// # Errors
    /// The table is full.
    pub fn listen(&mut self, address: SocketAddr, socket: u8) -> Result<(), ExpressError> {
        let put = self.listens.insert(listen_key(address), u32::from(socket), 0);
        put.map_err(ExpressError::refused)
    }

    /// Leaves what comes to a local address alone.
    pub fn ignore(&mut self, address: SocketAddr) {
        // Absent already is as good.
        let _ = self.listens.remove(&listen_key(address));
    }

    /// From the next packet on, a layer's packets are served as this says.
    ///
    /// # Errors
    /// The table is full, or the kernel has no memory.
    pub fn serve(&mut self, label: &Label, layer: &Layer) -> Result<(), ExpressError> {
        self.layers.insert(label.key(), layer.value(label.ssrc), 0).map_err(ExpressError::refused)
    }

    /// From the next packet on, they are not.
    pub fn stop_serving(&mut self, label: &Label) {
        let _ = self.layers.remove(&label.key());
    }

    /// Where the destination of this number is, at once for all runs it is in.
    ///
    /// # Errors
    /// The table is full, or the kernel has no memory.
    pub fn place(&mut self, number: u32, destination: &Destination) -> Result<(), ExpressError> {
        let put = self.destinations.insert(number, destination.value(number), 0);
        put.map_err(ExpressError::refused)
    }

    /// Nothing is sent to the destination of this number any more.
    pub fn displace(&mut self, number: u32) {
        let _ = self.destinations.remove(&number);
    }

    /// Writes a run of destinations into chunks that no layer uses.
    ///
    /// # Errors
    /// A chunk is beyond the table.
    pub fn write_run(&mut self, chunks: &[u32], numbers: &[u32]) -> Result<(), ExpressError> {
        for (place, numbers) in numbers.chunks(CHUNK).enumerate() {
            let mut value = [0; CHUNK + 1];
            value[..numbers.len()].copy_from_slice(numbers);
            value[CHUNK] = chunks.get(place + 1).copied().unwrap_or(0);
            self.chunks.set(chunks[place], value, 0).map_err(ExpressError::refused)?;
        }
        Ok(())
    }

    /// Packets, bytes and losses of the layer with this index since start.
    pub fn layer_tally(&self, index: u32) -> Tally {
        tally(&self.by_layer, index)
    }

    /// Packets, bytes and losses of the link with this index since start.
    pub fn link_tally(&self, index: u32) -> Tally {
        tally(&self.by_link, index)
    }

    /// Packets by what became of them, since start.
    pub fn outcomes(&self) -> [u64; Outcome::ALL.len()] {
        std::array::from_fn(|index| total(&self.outcomes, index))
    }

    /// Copies that devices took, and refused, by [`wire::Kind::index`], since start.
    pub fn sent(&self) -> [Tally; 3] {
        [0, 1, 2].map(|kind| tally(&self.sent, kind))
    }

    /// From when the program looked at a packet to when its last copy was with its device, for one packet in 64: counts
    /// by the number of bits of the nanoseconds.
    pub fn waits(&self) -> [u64; 32] {
        std::array::from_fn(|index| total(&self.waits, index))
    }
}

/// What the program counts of a layer or a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Their bytes of RTP.
    pub bytes: u64,
    /// Packets over the layer's rate, or refused by the link's device.
    pub lost: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            lost: self.lost + other.lost,
        }
    }

    /// What came since the same counts were `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            lost: self.lost.saturating_sub(before.lost),
        }
    }
}

/// What became of packets of layers that are served; `enum outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Packets that were replicated.
    Served,
    /// Left to the sockets: something else on this host marks them.
    Marked,
    /// Left to the sockets: trains of more than one layer, or out of sequence.
    Mixed,
    /// Left to the sockets: seen a moment ago, or a train with such a packet.
    Repeated,
    /// Left to the sockets: too large for a destination's device.
    TooLarge,
    /// Dropped: over their layer's rate.
    OverRate,
    /// Copies lost: their destination went a moment ago.
    Gone,
    /// Copies lost: the device did not take them.
    Refused,
    /// Copies lost: no memory.
    Unwritable,
}

impl Outcome {
    /// All, in the order of the program's table.
    pub const ALL: [Self; 9] = [
        Self::Served,
        Self::Marked,
        Self::Mixed,
        Self::Repeated,
        Self::TooLarge,
        Self::OverRate,
        Self::Gone,
        Self::Refused,
        Self::Unwritable,
    ];

    /// The name in stats and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Marked => "marked",
            Self::Mixed => "mixed",
            Self::Repeated => "repeated",
            Self::TooLarge => "too_large",
            Self::OverRate => "over_rate",
            Self::Gone => "gone",
            Self::Refused => "device_refused",
            Self::Unwritable => "no_memory",
        }
    }
}

fn classifier(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, ExpressError> {
    let program = ebpf.program_mut("express").ok_or_else(|| ExpressError::refused(MISSING))?;
    program.try_into().map_err(ExpressError::refused)
}

const MISSING: &str = "the object in this binary is not mmr/bpf/express.c's";

fn table<T>(ebpf: &mut Ebpf, name: &str) -> Result<T, ExpressError>
where
    T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    let map = ebpf.take_map(name).ok_or_else(|| ExpressError::refused(MISSING))?;
    T::try_from(map).map_err(ExpressError::refused)
}

/// Counts that can't be read are none: nothing depends on them.
fn tally(table: &PerCpuArray<MapData, TallyValue>, index: u32) -> Tally {
    let Ok(cores) = table.get(&index, 0) else { return Tally::default() };
    cores.iter().fold(Tally::default(), |sum, [packets, bytes, lost]| {
        sum.plus(Tally { packets: *packets, bytes: *bytes, lost: *lost })
    })
}

fn total(table: &PerCpuArray<MapData, u64>, index: usize) -> u64 {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    table.get(&index, 0).map_or(0, |cores| cores.iter().sum())
}
