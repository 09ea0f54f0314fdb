//! Writes RTCP compounds into slices: each an (empty) receiver report first, as RFC 3550 §6.1
//! wants.
//!
//! Feedback is written by `rtcp-types`. Reports are written here: its builders for them, and for
//! compounds, allocate.

use super::{FEEDBACK_LEN, NACK_FORMAT, ReportBlock, SenderInfo};
use crate::{Seq, Ssrc};
use rtcp_types::prelude::*;
use rtcp_types::{
    FciFeedbackPacketType, PayloadFeedback, Pli, ReceiverReport, RtcpPacket, RtcpWriteError,
    SenderReport, TransportFeedback,
};

/// Header and sender's SSRC.
const EMPTY_REPORT_LEN: usize = 8;
/// RFC 3550 §6.4.1.
const SENDER_REPORT_LEN: usize = 28;
/// RFC 3550 §6.4.1.
const BLOCK_LEN: usize = 24;
/// What the 5-bit count of a report can say.
const BLOCKS_MAX: usize = 31;

/// A generic NACK (RFC 4585 §6.2.1) of `lost`: packet ids with the mask of the 16 behind each.
/// Answers the compound's length, `None` when `out` is too small.
pub fn write_nack(sender: Ssrc, media: Ssrc, lost: &[(Seq, u16)], out: &mut [u8]) -> Option<usize> {
    let entries = NackEntries(lost);
    let nack = TransportFeedback::builder(&entries).sender_ssrc(sender.0).media_ssrc(media.0);
    write_feedback(sender, &nack, out)
}

/// A picture loss indication (RFC 4585 §6.3.1). Answers the compound's length, `None` when `out` is
/// too small.
pub fn write_pli(sender: Ssrc, media: Ssrc, out: &mut [u8]) -> Option<usize> {
    let fci = Pli::builder();
    let pli = PayloadFeedback::builder(&fci).sender_ssrc(sender.0).media_ssrc(media.0);
    write_feedback(sender, &pli, out)
}

/// A receiver report with up to 31 blocks. Answers its length, `None` when `out` is too small or
/// the blocks are more.
pub fn write_receiver_report(
    sender: Ssrc,
    blocks: &[ReportBlock],
    out: &mut [u8],
) -> Option<usize> {
    let count = u8::try_from(blocks.len()).ok().filter(|_| blocks.len() <= BLOCKS_MAX)?;
    let out = out.get_mut(..EMPTY_REPORT_LEN + BLOCK_LEN * blocks.len())?;
    write_head(ReceiverReport::PACKET_TYPE, count, sender, out);
    for (block, out) in blocks.iter().zip(out[EMPTY_REPORT_LEN..].chunks_exact_mut(BLOCK_LEN)) {
        block.write(out);
    }
    Some(out.len())
}

/// A sender report of a publisher; stands first itself when `relay` is `None`, else behind an empty
/// RR of `relay` (an MMR relays SRs under its own SSRC, so that each SRTCP context has one sender).
/// Answers the compound's length, `None` when `out` is too small.
pub fn write_sender_report(
    relay: Option<Ssrc>,
    info: &SenderInfo,
    out: &mut [u8],
) -> Option<usize> {
    let offset = match relay {
        Some(relay) => write_receiver_report(relay, &[], out)?,
        None => 0,
    };
    let end = offset + SENDER_REPORT_LEN;
    let report = out.get_mut(offset..end)?;
    write_head(SenderReport::PACKET_TYPE, 0, info.ssrc, report);
    report[8..16].copy_from_slice(&info.ntp.to_be_bytes());
    report[16..20].copy_from_slice(&info.rtp_timestamp.to_be_bytes());
    report[20..24].copy_from_slice(&info.packets.to_be_bytes());
    report[24..28].copy_from_slice(&info.octets.to_be_bytes());
    Some(end)
}

fn write_feedback(sender: Ssrc, feedback: &impl RtcpPacketWriter, out: &mut [u8]) -> Option<usize> {
    let offset = write_receiver_report(sender, &[], out)?;
    let end = offset + feedback.calculate_size().ok()?;
    Some(offset + feedback.write_into_unchecked(out.get_mut(offset..end)?))
}

/// Version 2, no padding; `out` is the whole packet and gives the length.
fn write_head(kind: u8, count: u8, sender: Ssrc, out: &mut [u8]) {
    let words = u16::try_from(out.len() / 4 - 1).unwrap_or(u16::MAX);
    out[0] = 2 << 6 | count;
    out[1] = kind;
    out[2..4].copy_from_slice(&words.to_be_bytes());
    out[4..8].copy_from_slice(&sender.0.to_be_bytes());
}

impl ReportBlock {
    fn write(&self, out: &mut [u8]) {
        // 24 bits in the packet: a larger count stays at the highest (RFC 3550 §A.3).
        let lost = self.cumulative_lost.min(0x7f_ffff);
        out[..4].copy_from_slice(&self.ssrc.0.to_be_bytes());
        out[4..8].copy_from_slice(&(u32::from(self.fraction_lost) << 24 | lost).to_be_bytes());
        out[8..12].copy_from_slice(&self.extended_seq.to_be_bytes());
        out[12..16].copy_from_slice(&self.jitter.to_be_bytes());
        out[16..20].copy_from_slice(&self.last_sr.to_be_bytes());
        out[20..24].copy_from_slice(&self.delay_since_last_sr.to_be_bytes());
    }
}

/// Entries of a generic NACK as the caller has them: the builder of `rtcp-types` would collect them
/// in a tree.
#[derive(Debug)]
struct NackEntries<'a>(&'a [(Seq, u16)]);

impl FciBuilder<'_> for NackEntries<'_> {
    fn format(&self) -> u8 {
        NACK_FORMAT
    }

    fn supports_feedback_type(&self) -> FciFeedbackPacketType {
        FciFeedbackPacketType::TRANSPORT
    }
}

impl RtcpPacketWriter for NackEntries<'_> {
    fn calculate_size(&self) -> Result<usize, RtcpWriteError> {
        Ok(4 * self.0.len())
    }

    fn write_into_unchecked(&self, out: &mut [u8]) -> usize {
        for ((pid, mask), out) in self.0.iter().zip(out.chunks_exact_mut(4)) {
            out[..2].copy_from_slice(&pid.0.to_be_bytes());
            out[2..].copy_from_slice(&mask.to_be_bytes());
        }
        4 * self.0.len()
    }

    fn get_padding(&self) -> Option<u8> {
        None
    }
}

const _: () = assert!(FEEDBACK_LEN == TransportFeedback::MIN_PACKET_LEN);
const _: () = assert!(EMPTY_REPORT_LEN == ReceiverReport::MIN_PACKET_LEN);
const _: () = assert!(SENDER_REPORT_LEN == SenderReport::MIN_PACKET_LEN);
