//! What a packet goes through until it is taken or dropped, and how packets become runs.
//!
//! ```text
//!   arrival (a train of one path)   │ A A A │ x │ A A │ B B B │      x is dropped, B another layer
//!   runs, one transmit per route    └───────┘   └─────┘ └─────┘
//! ```

use super::Router;
use super::clock::Stamp;
use super::express::Served;
use super::ingress::Accepted;
use crate::{Arrival, DropReason, Event, Outbox, Payload, PeerMessage, Source, limits};
use std::cell::OnceCell;
use std::ops::Range;
use std::time::Instant;
use wire::demux::{Class, classify};
use wire::rtp::Packet;
use wire::{Kind, Ssrc};

/// Packets of one layer, one behind the other, that are not forwarded yet.
struct Run {
    layer: u32,
    ssrc: Ssrc,
    span: Range<usize>,
}

/// What becomes of a packet.
enum Verdict {
    /// Forwarded.
    Media(Admitted),
    /// A STUN message.
    Check,
    /// RTCP of a link.
    Report(u32),
}

/// A packet of media that was taken.
struct Admitted {
    layer: u32,
    ssrc: Ssrc,
    /// First packet of a frame that can be decoded alone.
    keyframe: bool,
}

impl Router {
    /// Hears the network.
    pub(super) fn receive(&mut self, arrival: Arrival<'_>, at: Instant, outbox: &mut Outbox) {
        if arrival.bytes.is_empty() {
            return self.tally.drops.count(DropReason::Malformed);
        }
        let now = self.clock.stamp(at);
        let segment = match arrival.segment {
            0 => arrival.bytes.len(),
            segment => usize::from(segment),
        };
        // Media asks for it, a check does not, and after one it may be another.
        let mut sender = OnceCell::new();
        let mut run = None;
        let mut start = 0;
        for packet in arrival.bytes.chunks(segment) {
            let span = start..start + packet.len();
            start = span.end;
            match self.judge(&arrival, &sender, packet, run.as_ref(), now) {
                Ok(Verdict::Media(packet)) => {
                    run = Some(self.prolong(run, packet, span, &arrival, now, outbox));
                }
                Ok(Verdict::Check) => {
                    self.handle_check(arrival.path, packet, at, outbox);
                    sender = OnceCell::new();
                }
                Ok(Verdict::Report(link)) => self.handle_rtcp(link, packet, now, outbox),
                Err(reason) => self.tally.drops.count(reason),
            }
        }
        self.finish(run, &arrival, outbox);
    }

    /// Steps 2 to 6 of a packet's way.
    fn judge(
        &mut self,
        arrival: &Arrival<'_>,
        sender: &OnceCell<Option<u32>>,
        packet: &[u8],
        run: Option<&Run>,
        now: Stamp,
    ) -> Result<Verdict, DropReason> {
        if packet.len() > wire::limits::PACKET_LEN_MAX {
            return Err(DropReason::Oversized);
        }
        let by_path = || self.links.by_path(&arrival.path);
        let sender = || sender.get_or_init(by_path).ok_or(DropReason::Stranger);
        match classify(packet) {
            Some(Class::Stun) => Ok(Verdict::Check),
            Some(Class::Rtp) => {
                let link = sender()?;
                self.admit(link, packet, arrival.mark, run, now).map(Verdict::Media)
            }
            Some(Class::Rtcp) => sender().map(Verdict::Report),
            Some(Class::Dtls) | None => Err(DropReason::Malformed),
        }
    }

    /// Takes an RTP packet of a link, or says why not.
    fn admit(
        &mut self,
        link: u32,
        bytes: &[u8],
        mark: u32,
        run: Option<&Run>,
        now: Stamp,
    ) -> Result<Admitted, DropReason> {
        let packet = Packet::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let ssrc = packet.ssrc();
        let index = match run {
            Some(run) if run.ssrc == ssrc => run.layer,
            _ => self.layers.of_link(link, ssrc).ok_or(DropReason::WrongSsrc)?,
        };
        let layer = self.layers.at_mut(index).ok_or(DropReason::WrongSsrc)?;
        // What is dropped from here on came all the same: it must not be asked for again.
        let accepted = layer.ingress.accept(packet.seq(), now)?;
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        // What the kernel knows it has policed.
        let is_within_rate = match mark {
            limits::EXPRESS_OVER_RATE => false,
            mark if !matches!(layer.express.served_at(mark), Served::Nobody) => true,
            _ => layer.bucket.take(size.max(limits::POLICE_PACKET_BYTES_MIN), now),
        };
        if !is_within_rate {
            self.note_progress(index, &accepted);
            return Err(DropReason::OverRate);
        }
        layer.ingress.note_timing(packet.timestamp(), layer.clock_rate(), now);
        let kind = layer.kind;
        let keyframe = match kind {
            Kind::Audio => {
                if let Some(level) = packet.audio_level() {
                    layer.level.note(level);
                    self.timers.expect_level(index, now);
                }
                false
            }
            Kind::Video | Kind::Content => {
                packet.frame_marking().is_some_and(|mark| mark.start && mark.independent)
            }
        };
        layer.keyframe_wanted &= !keyframe;
        let id = layer.id;
        let resumes = keyframe || packet.frame_marking().is_none();
        let given_up = self.gives_up(index, resumes, now);
        self.timers.expect_report(link, now);
        self.note_progress(index, &accepted);
        if given_up {
            return Err(DropReason::Overload);
        }
        if !accepted.missing.is_empty() {
            self.gaps.note(id, accepted.missing, now);
        }
        let traffic = &mut self.tally.counters.received[kind.index()];
        traffic.packets += 1;
        traffic.bytes += u64::from(size);
        self.history.keep(id, packet.seq(), bytes, now);
        Ok(Admitted { layer: index, ssrc, keyframe })
    }

    /// Whether a layer is given up just now. One that was is taken back with the first packet of a keyframe, which is
    /// asked for.
    fn gives_up(&mut self, index: u32, resumes: bool, now: Stamp) -> bool {
        let Some(layer) = self.layers.at_mut(index) else { return false };
        if self.overload.gives_up(layer.kind, index) {
            layer.given_up = true;
        } else if layer.given_up && resumes {
            layer.given_up = false;
        } else if layer.given_up && !layer.keyframe_wanted {
            layer.keyframe_wanted = true;
            self.timers.expect_keyframe(index, now);
        }
        layer.given_up
    }

    /// Rollovers are told to control, and four times a cycle other workers hear how far it is.
    fn note_progress(&mut self, index: u32, accepted: &Accepted) {
        let (before, extended) = (accepted.highest_before, accepted.extended);
        if extended <= before || extended >> 14 == before >> 14 {
            return;
        }
        let Some(layer) = self.layers.at(index).map(|layer| layer.id) else { return };
        self.tell_peer(None, PeerMessage::Heard { layer, extended });
        if extended >> 16 != before >> 16 {
            let roc = u32::try_from(extended >> 16).unwrap_or(u32::MAX);
            self.tell_control(Event::Rollover { layer, roc });
        }
    }

    /// Adds a packet to the run; forwards the run first if the packet does not continue it.
    fn prolong(
        &mut self,
        run: Option<Run>,
        packet: Admitted,
        span: Range<usize>,
        arrival: &Arrival<'_>,
        now: Stamp,
        outbox: &mut Outbox,
    ) -> Run {
        let switches = packet.keyframe && self.switches.is_awaited(packet.layer);
        if let Some(run) = run {
            let continues = run.layer == packet.layer && run.span.end == span.start && !switches;
            if continues {
                return Run { span: run.span.start..span.end, ..run };
            }
            self.finish(Some(run), arrival, outbox);
        }
        if switches {
            self.switch_all(packet.layer, now);
        }
        Run { layer: packet.layer, ssrc: packet.ssrc, span }
    }

    /// Forwards a run.
    fn finish(&mut self, run: Option<Run>, arrival: &Arrival<'_>, outbox: &mut Outbox) {
        let Some(run) = run else { return };
        let fits = "a slot is below 4 GiB";
        let len = run.span.len();
        let payload = Payload {
            source: Source::Slot(arrival.slot),
            offset: arrival.offset + u32::try_from(run.span.start).expect(fits),
            len: u32::try_from(len).expect(fits),
            // A single packet may be shorter than the train's segments, and the last one of a run is.
            segment: match arrival.segment {
                0 => u16::try_from(len).unwrap_or(u16::MAX),
                segment => segment.min(u16::try_from(len).unwrap_or(u16::MAX)),
            },
        };
        self.fan_out(run.layer, payload, arrival.mark, outbox);
    }

    /// A keyframe of the layer came: everyone who waited for it gets it from here on.
    /// Those whom control could not be told of wait for the next one: the kernel goes by what control knows.
    fn switch_all(&mut self, to: u32, now: Stamp) {
        while self.may_tell_control()
            && let Some((from, link)) = self.switches.pop(to)
        {
            self.complete_switch(from, to, link);
        }
        if self.switches.is_awaited(to)
            && let Some(layer) = self.layers.at_mut(to)
        {
            layer.keyframe_wanted = true;
            self.timers.expect_keyframe(to, now);
        }
    }
}
