//! RTCP compound packets (RFC 3550 §6) with feedback (RFC 4585), on `rtcp-types`.
//!
//! Plain RTCP in and out; [`crate::srtp`] protects it. Nothing here allocates: workers call it in a turn.

use crate::{Malformed, Seq, Ssrc};

/// One thing said in a compound packet that somebody here acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// RFC 3550 §6.4.1, without its report blocks.
    Sender(SenderInfo),
    /// A report block of an SR or RR.
    Block(ReportBlock),
    /// RFC 4585 §6.2.1: one packet id and bit mask of the generic NACK.
    Nack { media: Ssrc, pid: Seq, blp: u16 },
    /// RFC 4585 §6.3.1.
    Pli { media: Ssrc },
    /// RFC 3550 §6.6, one source.
    Bye { ssrc: Ssrc },
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

/// Calls `each` for everything in a compound packet that is a [`Report`]; unknown packet types are passed over.
/// Nothing is called when the compound is malformed.
pub fn parse(_compound: &[u8], _each: impl FnMut(Report)) -> Result<(), Malformed> {
    todo!()
}

/// The SSRC of the first packet of a compound: whose SRTCP context protects it.
pub fn sender_ssrc(_compound: &[u8]) -> Result<Ssrc, Malformed> {
    todo!()
}

/// Writers: each writes one compound (an empty RR of `sender` first, RFC 3550 §6.1) and answers its length;
/// `None` when `out` is too small.
pub fn write_nack(
    _sender: Ssrc,
    _media: Ssrc,
    _lost: &[(Seq, u16)],
    _out: &mut [u8],
) -> Option<usize> {
    todo!()
}

/// A picture loss indication.
pub fn write_pli(_sender: Ssrc, _media: Ssrc, _out: &mut [u8]) -> Option<usize> {
    todo!()
}

/// A receiver report with up to 31 blocks.
pub fn write_receiver_report(
    _sender: Ssrc,
    _blocks: &[ReportBlock],
    _out: &mut [u8],
) -> Option<usize> {
    todo!()
}

/// A sender report of a publisher; stands first itself when `relay` is `None`, else behind an empty RR of `relay`
/// (an MMR relays SRs under its own SSRC, so that each SRTCP context has one sender).
pub fn write_sender_report(
    _relay: Option<Ssrc>,
    _info: &SenderInfo,
    _out: &mut [u8],
) -> Option<usize> {
    todo!()
}
