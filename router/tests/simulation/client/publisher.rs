//! What a client publishes: frames in trains, retransmissions and keyframes when asked, sender reports.

use super::{Link, Sending};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::control::{Codec, Key, LayerOffer};
use wire::rtcp::{Report, SenderInfo};
use wire::rtp::{AudioLevel, FrameMarking, Header};
use wire::srtp::{MasterKey, RTP_OVERHEAD, SessionKeys};
use wire::{Bitrate, Kind, Seq, Ssrc, StreamId};

/// Numbers some layers leave out from time to time, so that they wrap several times in a minute: more than the MMR
/// asks for again, fewer than it takes for a jump.
const LEAP: u64 = 1_000;
const LEAP_INTERVAL: Duration = Duration::from_millis(250);
/// Packets kept for NACKs of the MMR.
const KEPT: usize = 128;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub struct Publication {
    pub kind: Kind,
    pub stream: StreamId,
    pub layers: Vec<Layer>,
    /// Nothing new is sent while it is paused; what was sent is still repaired.
    pub is_paused: bool,
    reported_at: Option<Instant>,
}

/// One layer at its source.
pub struct Layer {
    pub ssrc: u32,
    keys: SessionKeys,
    /// The next packet's: rollover counter and sequence number.
    pub next: u64,
    sent: VecDeque<(Seq, Vec<u8>)>,
    pub wants_keyframe: bool,
    pub leaps: bool,
    leapt_at: Option<Instant>,
    packets: u32,
}

impl Publication {
    /// A stream with layers of its own keys; what `publish` says of them.
    pub fn new(kind: Kind, count: usize, random: &mut ChaCha20Rng) -> (Self, Vec<LayerOffer>) {
        let (layers, offers) = (0..count).map(|_| Layer::new(kind, random)).unzip();
        let publication =
            Self { kind, stream: StreamId(0), layers, is_paused: false, reported_at: None };
        (publication, offers)
    }

    pub fn tick(
        &mut self,
        now: Instant,
        link: &mut Link,
        random: &mut ChaCha20Rng,
        out: &mut Vec<Sending>,
    ) {
        let kind = self.kind;
        if self.is_paused || !link.is_bound {
            return;
        }
        for layer in &mut self.layers {
            layer.leap(now);
            let packets = layer.frame(kind, random);
            out.push(Sending { kind, packets });
        }
        if self.reported_at.is_none_or(|at| now >= at + REPORT_INTERVAL) {
            self.reported_at = Some(now);
            let layer = &self.layers[random.random_range(0..self.layers.len())];
            let info = SenderInfo {
                ssrc: Ssrc(layer.ssrc),
                ntp: random.random(),
                rtp_timestamp: random.random(),
                packets: layer.packets,
                octets: 0,
            };
            out.push(
                link.rtcp(|ssrc, out| wire::rtcp::write_sender_report(Some(ssrc), &info, out)),
            );
        }
    }

    /// NACKs and PLIs of the MMR.
    pub fn hear_feedback(
        &mut self,
        reports: &[Report],
        random: &mut ChaCha20Rng,
        out: &mut Vec<Sending>,
    ) {
        for report in reports {
            match *report {
                Report::Nack { media, pid, blp } => {
                    let Some(layer) = self.layer(media) else { continue };
                    let lost = (0..=16).filter(|bit| *bit == 0 || blp >> (bit - 1) & 1 == 1);
                    let packets = lost.filter_map(|bit| layer.kept(pid.plus(bit)));
                    let kind = self.kind;
                    out.extend(packets.map(|it| Sending { kind, packets: vec![it] }));
                }
                Report::Pli { media } => {
                    if let Some(layer) = self.layers.iter_mut().find(|it| it.ssrc == media.0) {
                        layer.wants_keyframe |= random.random_bool(0.9);
                    }
                }
                _ => {}
            }
        }
    }

    pub fn layer(&self, ssrc: Ssrc) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.ssrc == ssrc.0)
    }
}

impl Layer {
    fn new(kind: Kind, random: &mut ChaCha20Rng) -> (Self, LayerOffer) {
        let key = MasterKey { key: random.random(), salt: random.random() };
        let leaps = kind != Kind::Audio && random.random_bool(0.5);
        // Often just before the numbers wrap; not so where the first leap would wrap unheard (RFC 3711 §3.3.1).
        let first = match random.random_range(0..3) {
            0 if !leaps => random.random_range(65_300..=u16::MAX),
            _ => random.random_range(0..1 << 15),
        };
        let layer = Self {
            ssrc: 0,
            keys: SessionKeys::derive(&key),
            next: u64::from(first),
            sent: VecDeque::new(),
            wants_keyframe: true,
            leaps,
            leapt_at: None,
            packets: 0,
        };
        let codec = if kind == Kind::Audio { Codec::Opus } else { Codec::Vp8 };
        let max_bitrate = Bitrate(if kind == Kind::Audio { 200_000 } else { 3_000_000 });
        (layer, LayerOffer { codec, payload_type: 96, max_bitrate, key: Key(key) })
    }

    fn leap(&mut self, now: Instant) {
        if self.leaps && self.leapt_at.is_none_or(|at| now >= at + LEAP_INTERVAL) {
            self.leapt_at = Some(now);
            self.next += LEAP;
        }
    }

    /// The packets of one frame: equal in size but for the last.
    fn frame(&mut self, kind: Kind, random: &mut ChaCha20Rng) -> Vec<Vec<u8>> {
        let is_keyframe = self.wants_keyframe || random.random_bool(0.05);
        self.wants_keyframe = false;
        let count = match kind {
            Kind::Audio => 1,
            _ if is_keyframe => random.random_range(2..=6),
            _ => random.random_range(1..=3),
        };
        let size = random.random_range(20..if kind == Kind::Audio { 120 } else { 500 });
        let level = AudioLevel { voice: random.random(), level: random.random_range(0..=127) };
        let timestamp = random.random();
        let packet = |layer: &mut Self, index: usize| {
            let last = index + 1 == count;
            let marking = FrameMarking {
                start: index == 0,
                end: last,
                independent: is_keyframe,
                discardable: false,
            };
            let header = Header {
                marker: last,
                payload_type: 96,
                timestamp,
                audio_level: (kind == Kind::Audio).then_some(level),
                frame_marking: (kind != Kind::Audio).then_some(marking),
                ..Header::default()
            };
            layer.packet(header, if last { size / 2 } else { size })
        };
        (0..count).map(|index| packet(self, index)).collect()
    }

    /// The next packet, protected, and kept for NACKs.
    pub fn packet(&mut self, header: Header, payload: usize) -> Vec<u8> {
        let (seq, roc) = (self.next as u16, (self.next >> 16) as u32);
        self.next += 1;
        self.packets += 1;
        let mut packet = Vec::new();
        Header { seq, ssrc: self.ssrc, ..header }.write(&mut packet);
        packet.resize(packet.len() + payload, 0x5a);
        let len = packet.len();
        packet.resize(len + RTP_OVERHEAD, 0);
        self.keys.protect_rtp(roc, &mut packet, len).unwrap();
        self.sent.push_back((Seq(seq), packet.clone()));
        if self.sent.len() > KEPT {
            self.sent.pop_front();
        }
        packet
    }

    /// A packet sent before.
    pub fn some_sent(&self, random: &mut ChaCha20Rng) -> Option<Vec<u8>> {
        let index = random.random_range(0..self.sent.len().max(1));
        self.sent.get(index).map(|(_, packet)| packet.clone())
    }

    fn kept(&self, seq: Seq) -> Option<Vec<u8>> {
        self.sent.iter().find(|sent| sent.0 == seq).map(|(_, packet)| packet.clone())
    }
}
