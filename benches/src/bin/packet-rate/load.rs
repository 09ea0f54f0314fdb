//! The publishers: an open loop that sends every frame at its time, whatever comes of the ones before.

use crate::error::BenchError;
use crate::interrupt;
use crate::meter;
use crate::stamp::{self, Label};
use hdrhistogram::Histogram;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::time::{ClockId, clock_gettime};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Above this nothing is left for counting.
const BUSY_MAX: f64 = 0.7;
/// Later than this is no longer the rate that was asked for: a frame of video lasts 33 ms, a packet of audio 20.
const LATENESS_MAX: Duration = Duration::from_millis(2);
/// Before the wire's counter, which has 1: sending takes microseconds, counting a burst hundreds of them.
const PRIORITY: i32 = 2;

/// What one layer of one publisher sends.
pub(crate) struct Flow {
    /// Connected to the router; its address is the publisher's link.
    pub(crate) socket: UdpSocket,
    /// The layer's label.
    pub(crate) ssrc: u32,
    /// As published.
    pub(crate) payload_type: u8,
    /// Of RTP, header and all.
    pub(crate) packet_bytes: usize,
    /// Packets of a frame: they leave as one train.
    pub(crate) frame_packets: u16,
    /// At rate 1.
    pub(crate) frames_per_s: f64,
}

/// What was sent, and whether it was sent in time.
#[derive(Clone, Debug)]
pub(crate) struct LoadReport {
    /// Packets handed to the kernel.
    pub(crate) packets: u64,
    /// Packets the kernel refused.
    pub(crate) refused: u64,
    /// How late frames left, in nanoseconds.
    pub(crate) lateness: Histogram<u64>,
    /// What part of its core sending took, 0 to 1. Counting and timing, on the same core, are not in it.
    pub(crate) busy: f64,
}

impl LoadReport {
    /// Why the router was not the limit, if it was not: figures of such a run are the load's.
    pub(crate) fn limit(&self) -> Option<String> {
        if self.busy > BUSY_MAX {
            return Some(format!("sending took {:.0} % of its core", 100.0 * self.busy));
        }
        let late = Duration::from_nanos(self.lateness.value_at_quantile(0.99));
        if late > LATENESS_MAX {
            return Some(format!("1 % of all frames left more than {late:?} late"));
        }
        (self.refused > 0).then(|| format!("the load's kernel refused {} packets", self.refused))
    }
}

/// All publishers. Sequence numbers go on from run to run.
pub(crate) struct Load {
    flows: Vec<Sending>,
}

struct Sending {
    flow: Flow,
    seq: u16,
    timestamp: u32,
    /// One frame, written anew each time.
    frame: Vec<u8>,
}

impl Load {
    /// Publishers that are ready to send.
    ///
    /// # Errors
    /// A flow no packet can carry.
    pub(crate) fn new(flows: Vec<Flow>) -> Result<Self, BenchError> {
        let fits = |flow: &Flow| {
            let len = flow.packet_bytes * usize::from(flow.frame_packets);
            flow.packet_bytes >= stamp::PACKET_LEN_MIN && len <= 65_000 && flow.frame_packets <= 64
        };
        if !flows.iter().all(fits) {
            return Err(BenchError::part("load", "a frame is longer than a train or has no room"));
        }
        let flows = flows.into_iter().map(Sending::new).collect();
        Ok(Self { flows })
    }

    /// Packets all flows send in a second at rate 1.
    pub(crate) fn packets_per_s(&self) -> f64 {
        self.flows
            .iter()
            .map(|sending| sending.flow.frames_per_s * f64::from(sending.flow.frame_packets))
            .sum()
    }

    /// Sends at `rate` × the flows' own rates until `duration` is over. Blocks; call it on the
    /// load's core.
    pub(crate) fn run(&mut self, rate: f64, duration: Duration) -> LoadReport {
        // The default slack of 50 µs would be in every latency, as would other threads of this core. Without root
        // they are, and it shows in the lateness.
        let _ = nix::sys::prctl::set_timerslack(1);
        let _ = meter::schedule_first(0, PRIORITY);
        let mut report =
            LoadReport { packets: 0, refused: 0, lateness: stamp::histogram(), busy: 0.0 };
        let used = own_time();
        let (begin, epoch) = (Instant::now() + Duration::from_millis(1), stamp::now());
        let epoch = epoch + Duration::from_millis(1);
        let periods: Vec<_> = self
            .flows
            .iter()
            .map(|s| Duration::from_secs_f64(1.0 / (s.flow.frames_per_s * rate)))
            .collect();
        let mut due = schedule(&periods);
        while let Some(Reverse((at, index))) = due.pop() {
            if at >= duration || interrupt::is_asked() {
                break;
            }
            wait_until(begin + at);
            let late = begin.elapsed().saturating_sub(at);
            report.lateness.saturating_record(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
            let sent = self.flows[index].send(epoch + at, periods[index]);
            let packets = u64::from(self.flows[index].flow.frame_packets);
            if sent.is_ok() {
                report.packets += packets;
            } else {
                report.refused += packets;
            }
            due.push(Reverse((at + periods[index], index)));
        }
        report.busy = (own_time() - used).as_secs_f64() / begin.elapsed().as_secs_f64();
        report
    }
}

/// When each flow begins: spread over its period, so that publishers do not speak at once.
fn schedule(periods: &[Duration]) -> BinaryHeap<Reverse<(Duration, usize)>> {
    let count = u32::try_from(periods.len().max(1)).unwrap_or(u32::MAX);
    (0..count)
        .zip(periods)
        .map(|(index, period)| Reverse((*period * index / count, index as usize)))
        .collect()
}

/// CPU time of the calling thread.
fn own_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

fn wait_until(at: Instant) {
    let left = at.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

impl Sending {
    fn new(flow: Flow) -> Self {
        let frame = vec![0; flow.packet_bytes * usize::from(flow.frame_packets)];
        // docs/protocol.md: the label tells where the numbers start.
        let seq = u16::try_from(flow.ssrc & 0x7fff).unwrap_or_default();
        Self { flow, seq, timestamp: 0, frame }
    }

    fn send(&mut self, intended: Duration, period: Duration) -> io::Result<()> {
        let Self { flow, seq, timestamp, frame } = self;
        let last = usize::from(flow.frame_packets) - 1;
        for (index, packet) in frame.chunks_mut(flow.packet_bytes).enumerate() {
            let label = Label {
                ssrc: flow.ssrc,
                payload_type: flow.payload_type,
                seq: *seq,
                timestamp: *timestamp,
                marker: index == last,
            };
            stamp::write(packet, label, intended);
            *seq = seq.wrapping_add(1);
        }
        // 90 kHz (RFC 3551 §5); audio's own clock would change nothing here.
        let ticks = (period.as_nanos() * 9 / 100_000) % (1 << 32);
        *timestamp = timestamp.wrapping_add(u32::try_from(ticks).unwrap_or_default());
        let segment = u16::try_from(flow.packet_bytes).unwrap_or(u16::MAX);
        let train = [ControlMessage::UdpGsoSegments(&segment)];
        let control = if last > 0 { &train[..] } else { &[] };
        let (fd, data) = (flow.socket.as_raw_fd(), [IoSlice::new(frame)]);
        sendmsg::<()>(fd, &data, control, MsgFlags::MSG_DONTWAIT, None)?;
        Ok(())
    }
}
