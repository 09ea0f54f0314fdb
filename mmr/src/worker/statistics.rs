//! What a worker counts about its turns. Written by one thread, handed out by report.

use crate::network::{Inbox, STREAM_SLOTS};
use crate::report::WorkerReport;
use hdrhistogram::Histogram;
use std::time::Instant;
use wire::demux::{self, Class};

/// Since start.
pub(super) struct Statistics {
    /// When the last turn ended.
    pub(super) last_turn: Instant,
    turns: u64,
    busy_ns: u64,
    transmit_ns: u64,
    trains: Histogram<u64>,
    batches: Histogram<u64>,
    latency_us: Histogram<u64>,
    /// When the arrivals were heard that were forwarded and wait in the outbox.
    forwarded: Vec<Instant>,
}

impl Statistics {
    pub(super) fn new(inbox: &Inbox) -> Self {
        // The report's histograms, so that theirs can be set to ours without growing.
        let WorkerReport { trains, batches, latency_us, .. } =
            WorkerReport::new(router::WorkerId(0));
        Self {
            last_turn: Instant::now(),
            turns: 0,
            busy_ns: 0,
            transmit_ns: 0,
            trains,
            batches,
            latency_us,
            forwarded: Vec::with_capacity(usize::from(inbox.datagram_slots() + STREAM_SLOTS)),
        }
    }

    /// Sizes of the media trains received, and how many packets all arrivals came to.
    pub(super) fn note_batch(&mut self, inbox: &Inbox) {
        if inbox.is_empty() {
            return;
        }
        let mut packets = 0;
        for index in 0..inbox.len() {
            let arrival = inbox.arrival(index);
            let train = arrival.bytes.len().div_ceil(usize::from(arrival.segment)) as u64;
            if demux::classify(arrival.bytes) == Some(Class::Rtp) {
                self.trains.saturating_record(train);
            }
            packets += train;
        }
        self.batches.saturating_record(packets);
    }

    pub(super) fn note_forwarded(&mut self, heard_at: Instant) {
        self.forwarded.push(heard_at);
    }

    /// The outbox was handed to the kernel.
    pub(super) fn note_transmission(&mut self, began: Instant, ended: Instant) {
        self.transmit_ns += nanoseconds(began, ended);
        for heard_at in self.forwarded.drain(..) {
            let latency = ended.saturating_duration_since(heard_at).as_micros();
            self.latency_us.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn note_turn(&mut self, began: Instant, ended: Instant) {
        self.busy_ns += nanoseconds(began, ended);
        self.turns += 1;
        self.last_turn = ended;
    }

    pub(super) fn fill(&self, report: &mut WorkerReport) {
        report.turns = self.turns;
        report.busy_ns = self.busy_ns;
        report.transmit_ns = self.transmit_ns;
        // Refused only for histograms of other bounds than `WorkerReport::new` makes.
        let _ = report.trains.set_to(&self.trains);
        let _ = report.batches.set_to(&self.batches);
        let _ = report.latency_us.set_to(&self.latency_us);
    }
}

fn nanoseconds(began: Instant, ended: Instant) -> u64 {
    u64::try_from(ended.saturating_duration_since(began).as_nanos()).unwrap_or(u64::MAX)
}
