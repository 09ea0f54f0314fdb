//! What a worker tells about itself when asked: everything stats, metrics and `mmr top` show.

use hdrhistogram::Histogram;
use router::{DropCounters, WorkerId};

/// One worker's counts since start. Made by control, filled by the worker, sent back: no sharing,
/// no lock.
#[derive(Clone, Debug)]
pub struct WorkerReport {
    /// Whose.
    pub worker: WorkerId,
    /// What its router counted.
    pub counters: router::Counters,
    /// Drops, by reason.
    pub drops: DropCounters,
    /// Datagrams the kernel dropped because a socket's buffer was full (SO_RXQ_OVFL).
    pub kernel_drops: u64,
    /// Times the ring had no buffer left and reception had to be armed again.
    pub ring_overflows: u64,
    /// Times a path refused GSO and was switched to single packets.
    pub gso_refused: u64,
    /// Turns taken.
    pub turns: u64,
    /// Time not spent waiting, in nanoseconds.
    pub busy_ns: u64,
    /// Part of it: handing packets to the kernel and to the door, in nanoseconds.
    pub transmit_ns: u64,
    /// Media packets per train received.
    pub trains: Histogram<u64>,
    /// Packets received per turn that received any.
    pub batches: Histogram<u64>,
    /// Heard (by the kernel where it tells, else by us) to handed to the kernel, in microseconds.
    pub latency_us: Histogram<u64>,
}

impl WorkerReport {
    /// An empty report; takes its memory.
    pub fn new(worker: WorkerId) -> Self {
        let histogram =
            |max| Histogram::new_with_bounds(1, max, 2).expect("the bounds are constants that fit");
        Self {
            worker,
            counters: router::Counters::default(),
            drops: DropCounters::default(),
            kernel_drops: 0,
            ring_overflows: 0,
            gso_refused: 0,
            turns: 0,
            busy_ns: 0,
            transmit_ns: 0,
            trains: histogram(64),
            batches: histogram(65_536),
            latency_us: histogram(10_000_000),
        }
    }
}
