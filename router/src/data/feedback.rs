//! RTCP of clients: what subscribers miss, and what publishers say about their clocks.
//!
//! Feedback names a layer by its SSRC, within the meeting of the link it came on. It goes to the worker that hears
//! the layer's publisher: that one has the history, and keeps count of PLIs.

use super::Router;
use super::clock::Stamp;
use super::fanout::send_own;
use super::links::Way;
use crate::{DropReason, LayerId, LinkId, NackSet, Outbox, PeerMessage, WorkerId, limits};
use wire::rtcp::{self, Report};
use wire::{Kind, Ssrc};

/// Clients stay above: the SSRCs of our workers' own RTCP (docs/protocol.md).
const WORKER_SSRC_MAX: u32 = 255;

/// NACKs of one compound, gathered by layer.
struct Asked {
    layer: u32,
    lost: NackSet,
}

impl Router {
    /// An RTCP packet of a bound link.
    pub(super) fn handle_rtcp(
        &mut self,
        link: u32,
        packet: &[u8],
        now: Stamp,
        outbox: &mut Outbox,
    ) {
        let mut buffer = [0; wire::limits::PACKET_LEN_MAX];
        let heard = self.unprotect(link, packet, &mut buffer, now).and_then(|len| {
            let mut asked = None;
            let each = |report| self.hear_report(link, report, &mut asked, now, outbox);
            rtcp::parse(&buffer[..len], each).map_err(|_| DropReason::Malformed)?;
            self.pass_on(link, asked, now, outbox);
            Ok(())
        });
        match heard {
            Ok(()) => self.tally.counters.rtcp += 1,
            Err(reason) => self.tally.drops.count(reason),
        }
    }

    /// Decrypts into `plain`; answers the compound's length.
    fn unprotect(
        &mut self,
        index: u32,
        packet: &[u8],
        plain: &mut [u8; wire::limits::PACKET_LEN_MAX],
        now: Stamp,
    ) -> Result<usize, DropReason> {
        let link = self.links.at_mut(index).ok_or(DropReason::Stranger)?;
        let plain = plain.get_mut(..packet.len()).ok_or(DropReason::Oversized)?;
        plain.copy_from_slice(packet);
        let sender = rtcp::sender_ssrc(plain).map_err(|_| DropReason::Malformed)?;
        if sender.0 <= WORKER_SSRC_MAX {
            return Err(DropReason::Malformed);
        }
        let (len, index) =
            link.spec.rtcp_in.unprotect_rtcp(plain).map_err(|error| match error {
                wire::srtp::SrtpError::NotAuthentic => DropReason::RtcpForged,
                _ => DropReason::Malformed,
            })?;
        if !link.accept_rtcp(sender, index) {
            return Err(DropReason::RtcpReplayed);
        }
        link.feedback.take(1, now).then_some(len).ok_or(DropReason::FeedbackLimit)
    }

    fn hear_report(
        &mut self,
        link: u32,
        report: Report,
        asked: &mut Option<Asked>,
        now: Stamp,
        outbox: &mut Outbox,
    ) {
        let outcome = match report {
            Report::Nack { media, pid, blp } => self.received_layer(link, media).map(|layer| {
                if asked.as_ref().is_some_and(|asked| asked.layer != layer || asked.lost.is_full())
                {
                    self.pass_on(link, asked.take(), now, outbox);
                }
                let asked = asked.get_or_insert(Asked { layer, lost: NackSet::EMPTY });
                asked.lost.add_entry(pid, blp);
            }),
            Report::Pli { media } => {
                self.received_layer(link, media).map(|layer| self.pass_on_pli(layer, now, outbox))
            }
            Report::Sender(info) => match self.layers.of_link(link, info.ssrc) {
                Some(layer) => self.relay_sender_report(layer, &info, now, outbox),
                None => Err(DropReason::WrongSsrc),
            },
            // Reception statistics are not acted on; streams end by the control channel.
            Report::Block(_) | Report::Bye { .. } => Ok(()),
        };
        if let Err(reason) = outcome {
            self.tally.drops.count(reason);
        }
    }

    /// The layer a link's feedback is about; it must get it, or wait for its keyframe.
    fn received_layer(&self, link: u32, media: Ssrc) -> Result<u32, DropReason> {
        let meeting = self.links.at(link).map(|link| link.spec.meeting);
        meeting
            .and_then(|meeting| self.layers.of_meeting(meeting, media))
            .filter(|&layer| {
                self.routes.contains(layer, link) || self.switches.is_waiting(layer, link)
            })
            .ok_or(DropReason::FeedbackStray)
    }

    fn pass_on(&mut self, link: u32, asked: Option<Asked>, now: Stamp, outbox: &mut Outbox) {
        let Some(Asked { layer, lost }) = asked else { return };
        let ids = self.layers.at(layer).zip(self.links.at(link));
        let Some((layer, link)) = ids.map(|(layer, link)| (layer.id, link.spec.id)) else { return };
        for home in self.homes(layer.index, now) {
            if home == self.worker {
                self.repair(layer, link, &lost, now, outbox);
            } else {
                self.tell_peer(Some(home), PeerMessage::Nack { layer, link, lost });
            }
        }
    }

    fn pass_on_pli(&mut self, layer: u32, now: Stamp, outbox: &mut Outbox) {
        let Some(id) = self.layers.at(layer).map(|layer| layer.id) else { return };
        match self.homes(layer, now).next() {
            Some(home) if home == self.worker => self.want_keyframe(layer, now, outbox),
            Some(home) => self.tell_peer(Some(home), PeerMessage::Pli { layer: id }),
            // Nobody has heard the publisher yet: its first frame will be one.
            None => {}
        }
    }

    /// Another worker heard a NACK. Either end may be gone by now.
    pub(super) fn hear_nack(
        &mut self,
        layer: LayerId,
        link: LinkId,
        lost: &NackSet,
        now: Stamp,
        outbox: &mut Outbox,
    ) {
        let known = self.layers.get(layer).is_some() && self.links.get(link).is_some();
        if known && self.routes.contains(layer.index, link.index) {
            self.repair(layer, link, lost, now, outbox);
        }
    }

    /// Sends again what is still in the history, within the link's budget.
    fn repair(
        &mut self,
        layer: LayerId,
        link: LinkId,
        lost: &NackSet,
        now: Stamp,
        outbox: &mut Outbox,
    ) {
        for seq in lost.seqs() {
            let Some(packet) = self.history.find(layer, seq, now) else {
                self.tally.drops.count(DropReason::NotInHistory);
                continue;
            };
            if !self.links.at_mut(link.index).is_some_and(|link| link.repair.take(1, now)) {
                self.tally.drops.count(DropReason::RepairLimit);
                continue;
            }
            let write = |out: &mut [u8]| {
                out.get_mut(..packet.len())?.copy_from_slice(packet);
                Some(packet.len())
            };
            let sent = send_own(&self.links, &mut self.tally, outbox, link.index, write);
            self.tally.counters.retransmitted += u64::from(sent);
        }
    }

    /// A keyframe is asked for, now or as soon as `PLI_INTERVAL` allows.
    pub(super) fn want_keyframe(&mut self, index: u32, now: Stamp, outbox: &mut Outbox) {
        if let Some(layer) = self.layers.at_mut(index).filter(|layer| layer.kind != Kind::Audio) {
            layer.keyframe_wanted = true;
            self.check_keyframe(index, now, outbox);
        }
    }

    /// Asks for a keyframe if one is wanted; again while switches wait for it.
    pub(super) fn check_keyframe(&mut self, index: u32, now: Stamp, outbox: &mut Outbox) {
        let Some(layer) = self.layers.at_mut(index).filter(|layer| layer.keyframe_wanted) else {
            return;
        };
        let is_bound = self.links.way(layer.link) != Way::Unbound;
        let home = self.links.at(layer.link).and_then(|link| link.home());
        if !is_bound || home != Some(self.worker) {
            // Whoever hears the publisher asks it; if that is us one day, binding comes here again.
            return;
        }
        let due = layer.pli_at.map_or(now, |at| at.plus(limits::PLI_INTERVAL));
        if due > now {
            return self.timers.expect_keyframe(index, due);
        }
        layer.pli_at = Some(now);
        let (link, media, given_up) = (layer.link, layer.ssrc, layer.given_up);
        self.send_rtcp(link, outbox, |sender, out| rtcp::write_pli(sender, media, out));
        if given_up || self.switches.is_awaited(index) {
            self.timers.expect_keyframe(index, now.plus(limits::PLI_INTERVAL));
        }
    }

    /// The workers that may have a layer's packets: where its publisher is heard, first.
    fn homes(&self, layer: u32, now: Stamp) -> impl Iterator<Item = WorkerId> + use<> {
        let link = self.layers.at(layer).and_then(|layer| self.links.at(layer.link));
        link.map(|link| link.homes(now)).into_iter().flatten()
    }
}
