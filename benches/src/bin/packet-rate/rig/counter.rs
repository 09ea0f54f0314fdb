//! The counter at the subscribers' end: a program in the kernel (benches/xdp/count.c) and its tables.

use super::Device;
use crate::error::BenchError;
use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// Built by benches/xdp/build.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../xdp/count.o");
const MARKS: u32 = 64;

/// Packets, and bytes of UDP payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many.
    pub(crate) packets: u64,
    /// RTP and all.
    pub(crate) bytes: u64,
}

/// What came through, in all and by DSCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Index: the DSCP.
    pub(crate) by_mark: Vec<Tally>,
}

impl Counts {
    /// All of it.
    pub(crate) fn total(&self) -> Tally {
        let zero = Tally::default();
        self.by_mark.iter().fold(zero, |sum, tally| Tally {
            packets: sum.packets + tally.packets,
            bytes: sum.bytes + tally.bytes,
        })
    }
}

/// Attached to an interface; gone when dropped, or when the process ends.
pub(super) struct Counter {
    by_port: PerCpuArray<MapData, [u64; 2]>,
    by_mark: PerCpuArray<MapData, [u64; 2]>,
    drop_answers: Mutex<Array<MapData, u64>>,
    /// Holds the program and its link.
    _program: Ebpf,
}

impl Counter {
    /// Loads the program and attaches it in the calling thread's network.
    pub(super) fn attach(
        device: Device,
        interface: &str,
        sample_every: u64,
    ) -> Result<Self, BenchError> {
        let mut program = EbpfLoader::new().load(OBJECT).map_err(refused)?;
        let every = program.map_mut("sample_every").ok_or_else(|| refused("a table is missing"))?;
        let mut every = Array::<_, u64>::try_from(every).map_err(refused)?;
        every.set(0, sample_every, 0).map_err(refused)?;
        match device {
            Device::Whole => attach_train_counter(&mut program, interface)?,
            Device::Split | Device::Loopback => attach_packet_counter(&mut program, interface)?,
        }
        let mut table =
            |name: &str| program.take_map(name).ok_or_else(|| refused("a table is missing"));
        Ok(Self {
            by_port: PerCpuArray::try_from(table("by_port")?).map_err(refused)?,
            by_mark: PerCpuArray::try_from(table("by_mark")?).map_err(refused)?,
            drop_answers: Mutex::new(Array::try_from(table("drop_answers")?).map_err(refused)?),
            _program: program,
        })
    }

    /// Whether answers to STUN checks go no further.
    pub(super) fn drop_answers(&self, drop: bool) -> Result<(), BenchError> {
        let mut flag = self.drop_answers.lock().unwrap_or_else(PoisonError::into_inner);
        flag.set(0, u64::from(drop), 0).map_err(refused)
    }

    pub(super) fn counts(&self) -> Result<Counts, BenchError> {
        let by_mark = (0..MARKS).map(|mark| sum(&self.by_mark, mark)).collect::<Result<_, _>>()?;
        Ok(Counts { by_mark })
    }

    pub(super) fn port(&self, port: u16) -> Result<Tally, BenchError> {
        sum(&self.by_port, port.into())
    }
}

fn attach_packet_counter(program: &mut Ebpf, interface: &str) -> Result<(), BenchError> {
    let counter = program.program_mut("count_packets").ok_or_else(|| refused("it is missing"))?;
    let counter: &mut Xdp = counter.try_into().map_err(refused)?;
    counter.load().map_err(refused)?;
    counter.attach(interface, XdpMode::Driver).map_err(refused)?;
    Ok(())
}

fn attach_train_counter(program: &mut Ebpf, interface: &str) -> Result<(), BenchError> {
    let counter = program.program_mut("count_trains").ok_or_else(|| refused("it is missing"))?;
    let counter: &mut SchedClassifier = counter.try_into().map_err(refused)?;
    counter.load().map_err(refused)?;
    counter.attach(interface, TcAttachType::Ingress).map_err(refused)?;
    Ok(())
}

fn sum(table: &PerCpuArray<MapData, [u64; 2]>, key: u32) -> Result<Tally, BenchError> {
    let cpus = table.get(&key, 0).map_err(refused)?;
    Ok(cpus.iter().fold(Tally::default(), |sum, [packets, bytes]| Tally {
        packets: sum.packets + packets,
        bytes: sum.bytes + bytes,
    }))
}

fn refused(cause: impl Display) -> BenchError {
    BenchError::Counter(cause.to_string())
}
