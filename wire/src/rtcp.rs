//! RTCP compound packets (RFC 3550 §6) with feedback (RFC 4585), on `rtcp-types`.
//!
//! Plain RTCP in and out; [`crate::srtp`] protects it. Nothing here allocates: workers call it in a
//! turn.

mod write;

use crate::{Malformed, Seq, Ssrc};
use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, PayloadFeedback, ReceiverReport, RtcpPacket, RtcpParseError, SenderReport,
    TransportFeedback,
};
pub use write::{write_nack, write_pli, write_receiver_report, write_sender_report};

/// RFC 4585 §6.2: the FMT of the generic NACK.
const NACK_FORMAT: u8 = 1;
/// RFC 4585 §6.3: the FMT of the picture loss indication.
const PLI_FORMAT: u8 = 1;
/// RFC 4585 §6.1: header, sender's and media's SSRC.
const FEEDBACK_LEN: usize = 12;

/// One thing said in a compound packet that somebody here acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// RFC 3550 §6.4.1, without its report blocks.
    Sender(SenderInfo),
    /// A report block of an SR or RR.
    Block(ReportBlock),
    /// RFC 4585 §6.2.1: one packet id and bit mask of the generic NACK.
    Nack {
        /// The layer.
        media: Ssrc,
        /// A lost packet.
        pid: Seq,
        /// Bit n: `pid + n + 1` was lost too.
        blp: u16,
    },
    /// RFC 4585 §6.3.1.
    Pli {
        /// The layer.
        media: Ssrc,
    },
    /// RFC 3550 §6.6, one source.
    Bye {
        /// Who left.
        ssrc: Ssrc,
    },
}

/// RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Whose report.
    pub ssrc: Ssrc,
    /// Wall clock, 32.32 fixed point.
    pub ntp: u64,
    /// The same instant in the media clock.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// RFC 3550 §6.4.1, report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: Ssrc,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all, 24 bits.
    pub cumulative_lost: u32,
    /// Highest sequence number with its cycles.
    pub extended_seq: u32,
    /// Interarrival jitter in the media clock.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP time.
    pub last_sr: u32,
    /// Delay since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// Calls `each` for everything in a compound packet that is a [`Report`]; unknown packet types are
/// passed over. Nothing is called when the compound is malformed. Reduced-size packets (RFC 5506)
/// are taken too.
pub fn parse(compound: &[u8], each: impl FnMut(Report)) -> Result<(), Malformed> {
    walk(compound, |_| ())?;
    walk(compound, each)
}

/// The SSRC of the first packet of a compound: whose SRTCP context protects it. In clear also when
/// encrypted.
pub fn sender_ssrc(compound: &[u8]) -> Result<Ssrc, Malformed> {
    match compound.first_chunk() {
        Some([first, _, _, _, a, b, c, d]) if first >> 6 == 2 => {
            Ok(Ssrc(u32::from_be_bytes([*a, *b, *c, *d])))
        }
        _ => Err(Malformed),
    }
}

/// Splits the compound by the length fields (RFC 3550 §6.4.1: 32-bit words less one).
/// `rtcp_types::Compound` would do it too, but puts the chunks of every SDES, which nobody asked
/// for, on the heap.
fn walk(mut compound: &[u8], mut each: impl FnMut(Report)) -> Result<(), Malformed> {
    if compound.is_empty() {
        return Err(Malformed);
    }
    while !compound.is_empty() {
        let head: [u8; 4] = *compound.first_chunk().ok_or(Malformed)?;
        let len = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (packet, behind) = compound.split_at_checked(len).ok_or(Malformed)?;
        // RFC 3550 §6.4.1: only the last packet of a compound may be padded.
        if head[0] >> 6 != 2 || head[0] & 0x20 != 0 && !behind.is_empty() {
            return Err(Malformed);
        }
        report(head[1], packet, &mut each).map_err(|_| Malformed)?;
        compound = behind;
    }
    Ok(())
}

fn report(kind: u8, packet: &[u8], each: &mut impl FnMut(Report)) -> Result<(), RtcpParseError> {
    match kind {
        SenderReport::PACKET_TYPE => {
            let report = SenderReport::parse(packet)?;
            each(Report::Sender(SenderInfo::of(&report)));
            report.report_blocks().for_each(|block| each(Report::Block(ReportBlock::of(&block))));
        }
        ReceiverReport::PACKET_TYPE => {
            let report = ReceiverReport::parse(packet)?;
            report.report_blocks().for_each(|block| each(Report::Block(ReportBlock::of(&block))));
        }
        TransportFeedback::PACKET_TYPE => {
            let feedback = TransportFeedback::parse(packet)?;
            if feedback.count() == NACK_FORMAT {
                nacks(&feedback, packet, each)?;
            }
        }
        PayloadFeedback::PACKET_TYPE => {
            let feedback = PayloadFeedback::parse(packet)?;
            if feedback.count() == PLI_FORMAT {
                each(Report::Pli { media: Ssrc(feedback.media_ssrc()) });
            }
        }
        Bye::PACKET_TYPE => {
            Bye::parse(packet)?.ssrcs().for_each(|ssrc| each(Report::Bye { ssrc: Ssrc(ssrc) }));
        }
        _ => {}
    }
    Ok(())
}

/// The entries as they stand there: `rtcp_types::Nack` takes masks apart into single sequence
/// numbers.
fn nacks(
    feedback: &TransportFeedback<'_>,
    packet: &[u8],
    each: &mut impl FnMut(Report),
) -> Result<(), RtcpParseError> {
    let padding = usize::from(feedback.padding().unwrap_or(0));
    let entries = packet[FEEDBACK_LEN..]
        .len()
        .checked_sub(padding)
        .map(|len| &packet[FEEDBACK_LEN..FEEDBACK_LEN + len])
        .ok_or(RtcpParseError::InvalidPadding)?;
    let media = Ssrc(feedback.media_ssrc());
    for entry in entries.as_chunks().0 {
        let [a, b, c, d] = *entry;
        let pid = Seq(u16::from_be_bytes([a, b]));
        each(Report::Nack { media, pid, blp: u16::from_be_bytes([c, d]) });
    }
    Ok(())
}

impl SenderInfo {
    fn of(report: &SenderReport<'_>) -> Self {
        Self {
            ssrc: Ssrc(report.ssrc()),
            ntp: report.ntp_timestamp(),
            rtp_timestamp: report.rtp_timestamp(),
            packets: report.packet_count(),
            octets: report.octet_count(),
        }
    }
}

impl ReportBlock {
    fn of(block: &rtcp_types::ReportBlock<'_>) -> Self {
        Self {
            ssrc: Ssrc(block.ssrc()),
            fraction_lost: block.fraction_lost(),
            cumulative_lost: block.cumulative_lost(),
            extended_seq: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_sr: block.last_sender_report_timestamp(),
            delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
        }
    }
}

#[cfg(test)]
mod tests;
