//! Sends one layer: frames into protected packets, kept for a while to be sent again. Sans-IO.

use crate::limits;
use crate::media::{Frame, clock_hz};
use crate::payload::{Packetizer, PayloadError};
use bytes::Bytes;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Instant;
use wire::control::Codec;
use wire::rtcp::SenderInfo;
use wire::rtp::{AudioLevel, FrameMarking, Header};
use wire::srtp::{MasterKey, RTP_OVERHEAD, SessionKeys};
use wire::{Seq, Ssrc};

/// The level told for a packet with sound in it, in −dBov. This client does not decode; it tells apart only
/// silence and sound (see [`audio_level`]).
const LEVEL_SOUND: u8 = 30;
/// −dBov of silence (RFC 6464 §3).
const LEVEL_SILENCE: u8 = 127;
/// Opus packets up to this long carry no sound: DTX (RFC 7587 §3.1.3 and libopus).
const SILENT_LEN_MAX: usize = 3;

/// Packets of one frame: `segment` bytes each but for the last.
#[derive(Clone, Debug)]
pub struct Train {
    /// One behind the other.
    pub bytes: Bytes,
    /// Length of all but the last.
    pub segment: usize,
}

/// What became of a layer that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SenderStatistics {
    /// Frames.
    pub frames: u64,
    /// Packets, sent for the first time.
    pub packets: u64,
    /// Their bytes on the wire, RTP headers and tags included.
    pub bytes: u64,
    /// Packets sent again because the MMR missed them.
    pub resent: u64,
    /// Keyframes asked for. A file cannot make them; its next one has to do.
    pub keyframe_requests: u64,
}

/// Where a layer's sequence numbers start, with rollover counter 0: the low 15 bits of its SSRC. Receivers know it
/// by that and can ask for the very first packets if those are lost.
pub(crate) fn start_index(ssrc: Ssrc) -> u64 {
    u64::from(ssrc.0 & 0x7fff)
}

/// Sends one layer.
pub struct LayerSender {
    ssrc: Ssrc,
    codec: Codec,
    payload_type: u8,
    keys: SessionKeys,
    packetizer: Packetizer,
    payload_len_max: usize,
    /// The next packet's rollover counter and sequence number.
    next: u64,
    timestamp_offset: u32,
    history: VecDeque<Sent>,
    acknowledged: u64,
    octets: u32,
    last: Option<(Instant, u32)>,
    statistics: SenderStatistics,
}

struct Sent {
    index: u64,
    at: Instant,
    packet: Bytes,
}

impl LayerSender {
    /// `key` is what was offered for this layer, `ssrc` what the MMR answered.
    pub fn new(ssrc: Ssrc, codec: Codec, payload_type: u8, key: &MasterKey) -> Self {
        let mut header = Vec::new();
        header_of(codec, true).write(&mut header);
        Self {
            ssrc,
            codec,
            payload_type,
            keys: SessionKeys::derive(key),
            packetizer: Packetizer::new(codec),
            payload_len_max: limits::RTP_LEN_MAX - RTP_OVERHEAD - header.len(),
            next: start_index(ssrc),
            // RFC 3550 §5.1: anywhere.
            timestamp_offset: rand::random(),
            history: VecDeque::new(),
            acknowledged: 0,
            octets: 0,
            last: None,
            statistics: SenderStatistics::default(),
        }
    }

    /// Counts timestamps from here instead of from anywhere: the same frame then has the same one at every MMR.
    #[must_use]
    pub fn counting_from(mut self, timestamp_offset: u32) -> Self {
        self.timestamp_offset = timestamp_offset;
        self
    }

    /// The layer's label.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Makes the packets of a frame; `captured` is its time as NTP in 32.32 fixed point.
    pub fn send(
        &mut self,
        now: Instant,
        captured: u64,
        frame: &Frame,
    ) -> Result<Train, PayloadError> {
        let payloads = self.packetizer.cut(frame, self.payload_len_max)?;
        let count = payloads.len();
        let timestamp = self.timestamp_offset.wrapping_add(low_32(frame.timestamp));
        let mut bytes = Vec::with_capacity(count * limits::RTP_LEN_MAX);
        let mut ends = Vec::with_capacity(count);
        for (position, payload) in payloads.iter().enumerate() {
            let mut header = header_of(self.codec, frame.keyframe);
            header.marker = payload.marker;
            header.payload_type = self.payload_type;
            header.timestamp = timestamp;
            header.capture_time = Some(captured);
            header.audio_level = header.audio_level.map(|_| audio_level(&payload.bytes));
            if let Some(marking) = &mut header.frame_marking {
                marking.start = position == 0;
                marking.end = position + 1 == count;
            }
            self.octets = self.octets.wrapping_add(low_32(payload.bytes.len() as u64));
            self.append(header, &payload.bytes, &mut bytes);
            ends.push(bytes.len());
        }
        self.last = Some((now, timestamp));
        self.statistics.frames += 1;
        self.statistics.bytes += bytes.len() as u64;
        Ok(self.keep(now, Bytes::from(bytes), &ends))
    }

    /// Writes and protects one packet at the end of `out`.
    fn append(&mut self, mut header: Header, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let roc = u32::try_from(self.next >> 16).expect("2^48 packets are never sent");
        header.seq = low_16(self.next);
        header.ssrc = self.ssrc.0;
        header.write(out);
        out.extend_from_slice(payload);
        let plain = out.len() - start;
        out.resize(start + plain + RTP_OVERHEAD, 0);
        let sealed = self.keys.protect_rtp(roc, &mut out[start..], plain);
        assert_eq!(sealed, Ok(plain + RTP_OVERHEAD), "a packet of our own making is well formed");
        self.next += 1;
        self.statistics.packets += 1;
    }

    fn keep(&mut self, now: Instant, bytes: Bytes, ends: &[usize]) -> Train {
        let first = self.next - ends.len() as u64;
        let starts = [0].into_iter().chain(ends.iter().copied());
        for ((index, start), end) in (first..).zip(starts).zip(ends) {
            self.history.push_back(Sent { index, at: now, packet: bytes.slice(start..*end) });
        }
        let old = |sent: &Sent| now.saturating_duration_since(sent.at) > limits::HISTORY_AGE_MAX;
        while self.history.len() > limits::HISTORY_PACKETS_MAX
            || self.history.front().is_some_and(old)
        {
            self.history.pop_front();
        }
        Train { bytes, segment: ends[0] }
    }

    /// The packets of a generic NACK (RFC 4585 §6.2.1) that are still kept.
    pub fn resend(&mut self, pid: Seq, blp: u16) -> Vec<Bytes> {
        let asked = (0..17).filter(|bit| *bit == 0 || blp >> (bit - 1) & 1 == 1);
        let found: Vec<Bytes> = asked.filter_map(|bit| self.kept(pid.plus(bit))).collect();
        self.statistics.resent += found.len() as u64;
        found
    }

    /// Everything still kept that was sent since then.
    pub fn resend_since(&mut self, since: Instant) -> Vec<Bytes> {
        let late = self.history.iter().filter(|sent| sent.at >= since);
        let found: Vec<Bytes> = late.map(|sent| sent.packet.clone()).collect();
        self.statistics.resent += found.len() as u64;
        found
    }

    /// The highest packet the MMR has heard of (RFC 3550 §6.4.1). Behind it, it cannot know that any is missing.
    pub fn acknowledge(&mut self, extended_seq: u32) {
        // The 32 bits wrap after 2^32 packets; media does not last so long.
        self.acknowledged = self.acknowledged.max(u64::from(extended_seq));
    }

    /// The last packet again, as long as the MMR has not said that it heard it: if that one comes, those missing
    /// before it are asked for.
    pub fn resend_last(&mut self, now: Instant) -> Option<Bytes> {
        let last = self.history.back()?;
        let recent = now.saturating_duration_since(last.at) < limits::TAIL_RESEND_DELAY;
        if recent || self.acknowledged >= last.index {
            return None;
        }
        self.statistics.resent += 1;
        Some(last.packet.clone())
    }

    fn kept(&self, seq: Seq) -> Option<Bytes> {
        let front = self.history.front()?;
        let ahead = seq.0.wrapping_sub(low_16(front.index));
        self.history.get(usize::from(ahead)).map(|sent| sent.packet.clone())
    }

    /// Notes that a receiver wants a keyframe.
    pub fn request_keyframe(&mut self) {
        self.statistics.keyframe_requests += 1;
    }

    /// RFC 3550 §6.4.1, once something was sent; `ntp` is the wall clock at `now`.
    pub fn sender_info(&self, now: Instant, ntp: u64) -> Option<SenderInfo> {
        let (at, timestamp) = self.last?;
        let clock = u128::from(clock_hz(self.codec));
        let ticks = now.saturating_duration_since(at).as_nanos() * clock / 1_000_000_000;
        let rtp_timestamp = timestamp.wrapping_add(u32::try_from(ticks).unwrap_or(0));
        let packets = low_32(self.statistics.packets);
        Some(SenderInfo { ssrc: self.ssrc, ntp, rtp_timestamp, packets, octets: self.octets })
    }

    /// What became of it so far.
    pub fn statistics(&self) -> SenderStatistics {
        self.statistics
    }
}

/// The extensions a packet of this codec carries, so that all of them are equally long.
fn header_of(codec: Codec, keyframe: bool) -> Header {
    let mut header = Header { capture_time: Some(0), ..Header::default() };
    match codec {
        Codec::Opus => header.audio_level = Some(AudioLevel { voice: false, level: LEVEL_SILENCE }),
        Codec::Vp8 | Codec::Av1 => {
            header.frame_marking = Some(FrameMarking {
                start: false,
                end: false,
                independent: keyframe,
                discardable: false,
            });
        }
    }
    header
}

/// RFC 6464, without a decoder: sound or silence, by the packet's length.
fn audio_level(packet: &[u8]) -> AudioLevel {
    let voice = packet.len() > SILENT_LEN_MAX;
    AudioLevel { voice, level: if voice { LEVEL_SOUND } else { LEVEL_SILENCE } }
}

/// RTP counts modulo 2^16 and 2^32 (RFC 3550 §5.1).
#[allow(clippy::cast_possible_truncation)] // the modulus is meant
pub(crate) const fn low_16(value: u64) -> u16 {
    value as u16
}

#[allow(clippy::cast_possible_truncation)] // the modulus is meant
const fn low_32(value: u64) -> u32 {
    value as u32
}
