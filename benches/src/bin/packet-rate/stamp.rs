//! The packets of the bench: RTP whose payload says when it should have been sent.
//!
//! ```text
//!   0            12        16                    24
//!   │ RTP header │ "pkrt" │ intended time, ns UTC │ zeros …
//! ```
//!
//! The intended time, not the time of sending, is in the packet: a load that falls behind must not hide the wait it
//! causes (coordinated omission).

use hdrhistogram::Histogram;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAGIC: [u8; 4] = *b"pkrt";
const RTP_HEADER_LEN: usize = 12;
/// The shortest packet that carries a time.
pub(crate) const PACKET_LEN_MIN: usize = RTP_HEADER_LEN + 12;

/// The label and numbers of one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    /// The last packet of its frame.
    pub(crate) marker: bool,
}

/// Writes header and time at the front of a packet.
///
/// # Panics
/// When the packet is shorter than [`PACKET_LEN_MIN`].
pub(crate) fn write(packet: &mut [u8], label: Label, intended: Duration) {
    packet[0] = 0x80;
    packet[1] = label.payload_type | u8::from(label.marker) << 7;
    packet[2..4].copy_from_slice(&label.seq.to_be_bytes());
    packet[4..8].copy_from_slice(&label.timestamp.to_be_bytes());
    packet[8..12].copy_from_slice(&label.ssrc.to_be_bytes());
    packet[12..16].copy_from_slice(&MAGIC);
    let nanoseconds = u64::try_from(intended.as_nanos()).unwrap_or(u64::MAX);
    packet[16..24].copy_from_slice(&nanoseconds.to_be_bytes());
}

/// When a packet should have been sent, since 1970; `None` for anything that is not of the bench.
pub(crate) fn read(packet: &[u8]) -> Option<Duration> {
    let time = packet.get(12..24)?.strip_prefix(&MAGIC)?;
    Some(Duration::from_nanos(u64::from_be_bytes(time.try_into().ok()?)))
}

/// Now, since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// For times in nanoseconds, up to the longest a packet may be late and still count.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("one minute in three digits is allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_when_it_should_have_been_sent() {
        let mut packet = [0; 160];
        let label = Label { ssrc: 7, payload_type: 111, seq: 65_535, timestamp: 9, marker: true };
        let intended = now();
        write(&mut packet, label, intended);
        assert_eq!(read(&packet), Some(intended));
        let parsed = wire::rtp::Packet::parse(&packet).expect("it is RTP");
        assert_eq!((parsed.ssrc().0, parsed.seq().0), (7, 65_535));
    }

    #[test]
    fn anything_else_says_nothing() {
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x80; 24]), None);
    }
}
