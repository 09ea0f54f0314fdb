//! Receives one layer: packets decrypted, put in order, missed ones asked for. Sans-IO.

mod repair;
mod statistics;

pub use statistics::{Latency, LatencyReport, LayerStatistics};

use crate::limits;
use crate::media::clock_hz;
use crate::payload::Piece;
use crate::send::{low_16, start_index};
use bytes::Bytes;
use repair::{Gaps, Origin};
use statistics::Jitter;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use wire::control::{Codec, LayerInfo};
use wire::rtcp::{ReportBlock, SenderInfo};
use wire::rtp::Packet;
use wire::srtp::{Rollover, SessionKeys};
use wire::{Seq, Ssrc};

/// When and how a packet came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Monotonic.
    pub now: Instant,
    /// The wall clock, as NTP in 32.32 fixed point.
    pub ntp: u64,
    /// Its mark, if the system tells.
    pub dscp: Option<u8>,
}

/// A packet of a layer, decrypted and in its place.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Sequence number with its cycles.
    pub index: u64,
    /// Timestamp with its cycles, in ticks of the codec's clock.
    pub timestamp: u64,
    /// The plain RTP packet.
    pub packet: Bytes,
}

impl Ordered {
    /// As a piece of a frame; `None` when its padding does not parse.
    pub fn piece(&self) -> Option<Piece<'_>> {
        let packet = Packet::parse(&self.packet).ok()?;
        Some(Piece {
            index: self.index,
            timestamp: self.timestamp,
            marker: packet.marker(),
            start: packet.frame_marking().map(|marking| marking.start),
            payload: packet.payload().ok()?,
        })
    }
}

/// What a receiver hands to its reader.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next packet.
    Packet(Ordered),
    /// What the publisher said about its clock.
    SenderReport(SenderInfo),
}

/// What a receiver tells the MMR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Packets missed: ids and bit masks.
    Nack(Vec<(Seq, u16)>),
    /// A keyframe, please.
    Pli,
}

/// Receives one layer.
pub struct LayerReceiver {
    ssrc: Ssrc,
    codec: Codec,
    keys: SessionKeys,
    rollover: Rollover,
    /// The next packet to hand out; unknown before the first one.
    next: Option<u64>,
    highest: u64,
    held: BTreeMap<u64, Held>,
    gaps: Gaps,
    ready: VecDeque<Ordered>,
    timestamp: Option<u64>,
    keyframe: KeyframeWish,
    last_sender_report: Option<(Instant, u64)>,
    jitter: Jitter,
    statistics: LayerStatistics,
}

struct Held {
    timestamp: u32,
    packet: Bytes,
}

/// Asks for a keyframe until one comes, but not forever: files cannot make any.
#[derive(Default)]
struct KeyframeWish {
    since: Option<Instant>,
    next: Option<Instant>,
}

/// How long a keyframe is asked for.
const KEYFRAME_PATIENCE: Duration = Duration::from_secs(10);

impl LayerReceiver {
    /// `roc` is the newest rollover counter told for it, by `subscribed` or `stream_added`.
    pub fn new(layer: &LayerInfo, roc: u32) -> Self {
        Self {
            ssrc: layer.ssrc,
            codec: layer.codec,
            keys: SessionKeys::derive(&layer.key.0),
            rollover: Rollover::new(roc),
            next: None,
            highest: 0,
            held: BTreeMap::new(),
            gaps: Gaps::default(),
            ready: VecDeque::new(),
            timestamp: None,
            keyframe: KeyframeWish::default(),
            last_sender_report: None,
            jitter: Jitter::default(),
            statistics: LayerStatistics::default(),
        }
    }

    /// The layer's label.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Takes a protected packet of this layer. False when it is not authentic.
    pub fn receive(&mut self, arrival: &Arrival, packet: &[u8]) -> bool {
        let Some((index, plain)) = self.unprotect(packet) else {
            self.statistics.unauthentic += 1;
            return false;
        };
        let Ok(parsed) = Packet::parse(&plain) else { return false };
        let timestamp = parsed.timestamp();
        let keyframe = parsed.frame_marking().is_some_and(|marking| marking.independent);
        let starts = parsed.frame_marking().is_none_or(|marking| marking.start);
        if !self.place(arrival.now, index, keyframe && starts) {
            return true;
        }
        self.statistics.note(arrival, parsed.capture_time());
        self.jitter.note(arrival.now, timestamp, clock_hz(self.codec));
        if keyframe {
            self.keyframe = KeyframeWish::default();
        }
        self.held.insert(index, Held { timestamp, packet: Bytes::from(plain) });
        self.release();
        true
    }

    /// Decrypts under the likeliest rollover counter. What the MMR told may have been overtaken by a wrap, and so many
    /// packets may not have come that the guess is wrong: a neighbour may be right.
    fn unprotect(&mut self, packet: &[u8]) -> Option<(u64, Vec<u8>)> {
        let seq = Packet::parse(packet).ok()?.seq();
        let guess = self.rollover.guess(seq);
        for roc in [guess, guess.wrapping_add(1), guess.wrapping_sub(1)] {
            let mut plain = packet.to_vec();
            if let Ok(len) = self.keys.unprotect_rtp(roc, &mut plain) {
                plain.truncate(len);
                self.rollover.update(seq, roc);
                return Some((u64::from(roc) << 16 | u64::from(seq.0), plain));
            }
        }
        None
    }

    /// Finds the place of a packet in the sequence. False when there is none: it came twice or too late.
    fn place(&mut self, now: Instant, index: u64, starts_keyframe: bool) -> bool {
        let Some(next) = self.next else {
            self.start(now, index, starts_keyframe);
            return true;
        };
        if index < next || self.held.contains_key(&index) {
            let given_up = self.gaps.forget(index);
            self.statistics.late += u64::from(given_up);
            self.statistics.duplicates += u64::from(!given_up);
            return false;
        }
        if let Some(asked) = self.gaps.fill(index) {
            self.statistics.repaired += u64::from(asked);
        } else if index > self.highest + limits::GAP_MAX {
            // The publisher started anew, or we slept: what lies between is lost.
            self.statistics.lost += index - self.highest - 1 + self.gaps.clear();
            self.release_to(index);
        } else {
            self.gaps.open(now, self.highest + 1..index, Origin::Overtaken);
        }
        self.highest = self.highest.max(index);
        true
    }

    /// The first packet. If it is not the layer's very first but close to it, those before are asked for.
    fn start(&mut self, now: Instant, index: u64, starts_keyframe: bool) {
        let start = start_index(self.ssrc);
        let begun_just_now = index > start && index - start <= limits::START_GAP_MAX;
        if begun_just_now {
            self.gaps.open(now, start..index, Origin::BeforeUs);
        }
        self.next = Some(if begun_just_now { start } else { index });
        self.highest = index;
        let alone = self.codec == Codec::Opus || starts_keyframe || begun_just_now;
        if !alone {
            self.wish_keyframe(now);
        }
    }

    /// Hands out everything that has its predecessor.
    fn release(&mut self) {
        while let Some(next) = self.next
            && let Some(held) = self.held.remove(&next)
        {
            self.hand_out(next, held);
            self.next = Some(next + 1);
        }
    }

    /// Hands out what there is below `index`, holes and all.
    fn release_to(&mut self, index: u64) {
        let later = self.held.split_off(&index);
        for (index, held) in std::mem::replace(&mut self.held, later) {
            self.hand_out(index, held);
        }
        self.next = Some(index);
        self.release();
    }

    fn hand_out(&mut self, index: u64, held: Held) {
        // The first timestamp gets room below for those that go back.
        let last = self.timestamp.unwrap_or(1 << 32 | u64::from(held.timestamp));
        let [.., a, b, c, d] = last.to_be_bytes();
        let step = held.timestamp.wrapping_sub(u32::from_be_bytes([a, b, c, d])).cast_signed();
        let timestamp = last.saturating_add_signed(i64::from(step));
        self.timestamp = Some(timestamp);
        self.ready.push_back(Ordered { index, timestamp, packet: held.packet });
    }

    /// Takes what the publisher says about this layer: how many packets there should be by now.
    pub fn handle_sender_info(&mut self, now: Instant, info: &SenderInfo) {
        self.last_sender_report = Some((now, info.ntp));
        if self.next.is_none() || info.packets == 0 {
            return;
        }
        // Only a publisher that starts at the agreed number can be counted after.
        let last = start_index(self.ssrc).wrapping_add(u64::from(info.packets) - 1);
        let ahead = Seq(low_16(last)).distance_from(Seq(low_16(self.highest)));
        if ahead > 0 && u64::from(ahead.unsigned_abs()) <= limits::START_GAP_MAX {
            let end = self.highest + u64::from(ahead.unsigned_abs());
            self.gaps.open(now, self.highest + 1..end + 1, Origin::Reported);
            self.highest = end;
        }
    }

    /// Gives up what has been missing for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(given_up) = self.gaps.give_up(now) else { return };
        self.statistics.lost += given_up.lost;
        let next = self.gaps.first().unwrap_or(self.highest + 1);
        self.release_to(next);
        if given_up.lost > 0 && self.codec != Codec::Opus {
            self.wish_keyframe(now);
        }
    }

    fn wish_keyframe(&mut self, now: Instant) {
        self.keyframe.since.get_or_insert(now);
        self.keyframe.next.get_or_insert(now);
    }

    /// What to tell the MMR now; call until `None`. `round_trip` is the link's.
    pub fn poll_feedback(&mut self, now: Instant, round_trip: Duration) -> Option<Feedback> {
        let KeyframeWish { since, next } = &mut self.keyframe;
        if let (Some(first), Some(at)) = (*since, *next)
            && at <= now
        {
            let patient = now.saturating_duration_since(first) < KEYFRAME_PATIENCE;
            *next = patient.then_some(now + limits::PLI_INTERVAL);
            self.statistics.plis += 1;
            return Some(Feedback::Pli);
        }
        let entries = self.gaps.ask(now, round_trip);
        self.statistics.nacks += u64::from(!entries.is_empty());
        (!entries.is_empty()).then_some(Feedback::Nack(entries))
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_feedback`] are due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.gaps.due(), self.keyframe.next].into_iter().flatten().min()
    }

    /// The next packet in order.
    pub fn poll_packet(&mut self) -> Option<Ordered> {
        self.ready.pop_front()
    }

    /// RFC 3550 §6.4.1; `None` before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        self.next?;
        let (last_sr, delay) = self.last_sender_report.map_or((0, 0), |(at, ntp)| {
            let delay = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            (middle_32(ntp), u32::try_from(delay).unwrap_or(u32::MAX))
        });
        let fraction_lost = self.statistics.fraction_lost();
        let cumulative = self.statistics.lost.min(0x7f_ffff);
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            cumulative_lost: u32::try_from(cumulative).unwrap_or(0),
            extended_seq: u32::try_from(self.highest & 0xffff_ffff).unwrap_or(0),
            jitter: self.jitter.ticks(),
            last_sr,
            delay_since_last_sr: delay,
        })
    }

    /// Notes that the reader had no room for a packet.
    pub fn count_overrun(&mut self) {
        self.statistics.overrun += 1;
    }

    /// How it fared. What is still being asked for is neither delivered nor lost.
    pub fn finish(self) -> LayerStatistics {
        self.statistics
    }
}

fn middle_32(ntp: u64) -> u32 {
    u32::try_from(ntp >> 16 & 0xffff_ffff).unwrap_or(0)
}

#[cfg(test)]
mod tests;
