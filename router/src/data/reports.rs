//! RTCP of our own: NACKs to publishers, how their layers arrive, and their sender reports on to subscribers.

use super::clock::Stamp;
use super::fanout::send_own;
use super::links::{Links, Way};
use super::{Router, Tally};
use crate::{DropReason, LayerId, NackSet, Outbox, WorkerId, limits};
use wire::rtcp::{self, ReportBlock, SenderInfo};
use wire::srtp::RTCP_OVERHEAD;
use wire::{Seq, Ssrc};

const NO_BLOCK: ReportBlock = ReportBlock {
    ssrc: Ssrc(0),
    fraction_lost: 0,
    cumulative_lost: 0,
    extended_seq: 0,
    jitter: 0,
    last_sr: 0,
    delay_since_last_sr: 0,
};

impl Router {
    /// Asks publishers for packets that did not come. A worker asks only for layers it hears.
    pub(super) fn ask_for_missing(&mut self, now: Stamp, outbox: &mut Outbox) {
        let mut batch: Option<(LayerId, NackSet)> = None;
        for _ in 0..limits::TIMERS_PER_CALL_MAX {
            let Some(missing) = self.gaps.pop(now) else { break };
            let Some(layer) = self.layers.get(missing.layer) else { continue };
            let home = self.links.at(layer.link).and_then(|link| link.home());
            if !layer.ingress.is_missing(missing.extended) || home != Some(self.worker) {
                continue;
            }
            self.gaps.ask_again(missing, now);
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are the number")]
            let seq = Seq(missing.extended as u16);
            let current = batch.as_mut().filter(|(of, _)| *of == missing.layer);
            if current.is_none_or(|(_, lost)| !lost.add(seq)) {
                let mut lost = NackSet::EMPTY;
                lost.add(seq);
                self.send_nack(batch.replace((missing.layer, lost)), outbox);
            }
        }
        self.send_nack(batch, outbox);
    }

    fn send_nack(&mut self, batch: Option<(LayerId, NackSet)>, outbox: &mut Outbox) {
        let Some((layer, lost)) = batch else { return };
        let Some((link, media)) = self.layers.get(layer).map(|layer| (layer.link, layer.ssrc))
        else {
            return;
        };
        self.send_rtcp(link, outbox, |sender, out| {
            rtcp::write_nack(sender, media, lost.entries(), out)
        });
    }

    /// Tells a publisher how its layers arrived here since the last report (RFC 3550 §6.4.2).
    pub(super) fn report_reception(&mut self, index: u32, now: Stamp, outbox: &mut Outbox) {
        let Some(link) = self.links.at(index) else { return };
        let mut blocks = [NO_BLOCK; wire::limits::LAYERS_MAX];
        let mut count = 0;
        for &layer in link.layers() {
            let Some(layer) = self.layers.at_mut(layer) else { continue };
            let Some(reception) = layer.ingress.report() else { continue };
            let (last_sr, delay) = layer.sender_report.map_or((0, 0), |(ntp, at)| {
                // In 1/65536 s.
                let delay = now.since(at).as_micros() * 65_536 / 1_000_000;
                (ntp, u32::try_from(delay).unwrap_or(u32::MAX))
            });
            blocks[count] = ReportBlock {
                ssrc: layer.ssrc,
                fraction_lost: reception.fraction_lost,
                cumulative_lost: reception.cumulative_lost,
                extended_seq: reception.extended_seq,
                jitter: reception.jitter,
                last_sr,
                delay_since_last_sr: delay,
            };
            count += 1;
        }
        if count > 0 {
            self.send_rtcp(index, outbox, |sender, out| {
                rtcp::write_receiver_report(sender, &blocks[..count], out)
            });
        }
    }

    /// Passes a publisher's clock on to everyone who gets the layer, under our own SSRC. Each destination costs an
    /// encryption, so that a publisher may not do it as often as it likes.
    pub(super) fn relay_sender_report(
        &mut self,
        index: u32,
        info: &SenderInfo,
        now: Stamp,
        outbox: &mut Outbox,
    ) -> Result<(), DropReason> {
        let layer = self.layers.at_mut(index).ok_or(DropReason::WrongSsrc)?;
        if layer.sender_report.is_some_and(|(_, at)| now.since(at) < limits::SENDER_REPORT_INTERVAL)
        {
            return Err(DropReason::ReportLimit);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits (RFC 3550 §4)")]
        let ntp_middle = (info.ntp >> 16) as u32;
        layer.sender_report = Some((ntp_middle, now));
        for links in self.routes.slices(index) {
            for &link in links {
                let write =
                    |sender, out: &mut [u8]| rtcp::write_sender_report(Some(sender), info, out);
                protect_and_send(
                    &mut self.links,
                    &mut self.tally,
                    self.worker,
                    link,
                    outbox,
                    write,
                );
            }
        }
        Ok(())
    }

    /// Sends RTCP over a link, if it is bound.
    pub(super) fn send_rtcp(
        &mut self,
        link: u32,
        outbox: &mut Outbox,
        write: impl FnOnce(Ssrc, &mut [u8]) -> Option<usize>,
    ) {
        protect_and_send(&mut self.links, &mut self.tally, self.worker, link, outbox, write);
    }
}

/// Each worker is a sender of its own, so that its indexes never repeat another's nonces.
fn protect_and_send(
    links: &mut Links,
    tally: &mut Tally,
    worker: WorkerId,
    link: u32,
    outbox: &mut Outbox,
    write: impl FnOnce(Ssrc, &mut [u8]) -> Option<usize>,
) {
    if links.way(link) == Way::Unbound {
        return;
    }
    let Some(index) = links.at_mut(link).and_then(|link| link.next_rtcp_index()) else { return };
    let Some(spec) = links.at(link).map(|link| &link.spec) else { return };
    let sender = Ssrc(u32::from(worker.0) + 1);
    send_own(links, tally, outbox, link, |out| {
        let room = out.len() - RTCP_OVERHEAD;
        let len = write(sender, &mut out[..room])?;
        spec.rtcp_out.protect_rtcp(index, out, len).ok()
    });
}
