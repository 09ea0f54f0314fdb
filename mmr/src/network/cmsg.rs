//! Control messages of sendmsg and recvmsg (cmsg(3)), written and read as bytes.

use std::time::Duration;

const HEADER_LEN: usize = size_of::<libc::cmsghdr>();
const ALIGN: usize = size_of::<usize>();

/// Room for what we send: one traffic class and one segment size.
pub(super) const SEND_LEN_MAX: usize = space(4) + space(2);
/// Room for what we hear: a segment size, a drop count, a mark, a time stamp.
pub(super) const RECEIVE_LEN_MAX: usize = space(4) + space(4) + space(4) + space(16);

/// Control messages for one send.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control {
    pub(super) bytes: [u8; SEND_LEN_MAX],
    pub(super) len: usize,
}

impl Control {
    pub(super) const EMPTY: Self = Self { bytes: [0; SEND_LEN_MAX], len: 0 };

    /// The IPv4 TOS or IPv6 traffic class byte of the packets (ip(7), RFC 3542 §6.5).
    pub(super) fn mark(&mut self, v6: bool, traffic_class: u8) {
        let (level, kind) = if v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
        } else {
            (libc::IPPROTO_IP, libc::IP_TOS)
        };
        self.push(level, kind, i32::from(traffic_class).to_ne_bytes());
    }

    /// Cut the payload into packets of this size (udp(7)); 0: leave it whole.
    pub(super) fn segment(&mut self, bytes: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, bytes.to_ne_bytes());
    }

    fn push<const N: usize>(&mut self, level: i32, kind: i32, data: [u8; N]) {
        let at = &mut self.bytes[self.len..self.len + space(N)];
        at[..ALIGN].copy_from_slice(&(HEADER_LEN + N).to_ne_bytes());
        at[HEADER_LEN - 8..HEADER_LEN - 4].copy_from_slice(&level.to_ne_bytes());
        at[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&kind.to_ne_bytes());
        at[HEADER_LEN..HEADER_LEN + N].copy_from_slice(&data);
        self.len += space(N);
    }
}

/// What the kernel told about a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// UDP_GRO: size of each packet of a train but the last.
    pub(super) segment: Option<u16>,
    /// SO_RXQ_OVFL: datagrams this socket lost so far, wrapping.
    pub(super) lost: Option<u32>,
    /// SO_RCVMARK: the packet's mark, of all packets of a train.
    pub(super) mark: Option<u32>,
    /// SO_TIMESTAMPNS: when it was heard, since the Unix epoch.
    pub(super) stamp: Option<Duration>,
}

/// Reads control messages; what is unknown or cut off is passed over.
pub(super) fn read(mut bytes: &[u8]) -> Told {
    let mut told = Told::default();
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let Some(len) = header.first_chunk().map(|len| usize::from_ne_bytes(*len)) else { break };
        let Some(data) = bytes.get(HEADER_LEN..len) else { break };
        told.note(word(&header[HEADER_LEN - 8..]), word(&header[HEADER_LEN - 4..]), data);
        bytes = bytes.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    told
}

impl Told {
    fn note(&mut self, level: Option<i32>, kind: Option<i32>, data: &[u8]) {
        match (level, kind) {
            (Some(libc::SOL_UDP), Some(libc::UDP_GRO)) => {
                self.segment = word(data).and_then(|size| u16::try_from(size).ok());
            }
            (Some(libc::SOL_SOCKET), Some(libc::SO_RXQ_OVFL)) => {
                self.lost = word(data).map(i32::cast_unsigned);
            }
            (Some(libc::SOL_SOCKET), Some(libc::SO_MARK)) => {
                self.mark = word(data).map(i32::cast_unsigned);
            }
            (Some(libc::SOL_SOCKET), Some(libc::SCM_TIMESTAMPNS)) => self.stamp = timespec(data),
            _ => {}
        }
    }
}

fn word(data: &[u8]) -> Option<i32> {
    data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

fn timespec(data: &[u8]) -> Option<Duration> {
    let long = |at: usize| data.get(at..)?.first_chunk().map(|bytes| isize::from_ne_bytes(*bytes));
    let (seconds, nanos) = (long(0)?, long(size_of::<isize>())?);
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?))
}

/// CMSG_SPACE: header, data, padding.
const fn space(data: usize) -> usize {
    HEADER_LEN + data.next_multiple_of(ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_one_after_the_other() {
        let mut bytes = Vec::new();
        let mut push = |level: i32, kind: i32, data: &[u8]| {
            bytes.extend((HEADER_LEN + data.len()).to_ne_bytes());
            bytes.extend(level.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        };
        push(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes());
        push(libc::SOL_IP, libc::IP_TTL, &64i32.to_ne_bytes());
        push(libc::SOL_SOCKET, libc::SO_MARK, &0x4d4d_0007u32.to_ne_bytes());
        push(libc::SOL_UDP, libc::UDP_GRO, &1200i32.to_ne_bytes());
        let told = read(&bytes);
        assert_eq!((told.segment, told.lost, told.stamp), (Some(1200), Some(7), None));
        assert_eq!(told.mark, Some(0x4d4d_0007));
        for len in 0..bytes.len() {
            read(&bytes[..len]); // cut off anywhere, it is read without a panic
        }
    }

    #[test]
    fn lengths_below_a_header_end_the_reading() {
        assert_eq!(read(&[0; 64]), Told::default());
        assert_eq!(read(&[0xff; 64]), Told::default());
    }

    #[test]
    fn a_mark_and_a_segment_fill_the_room() {
        let mut control = Control::EMPTY;
        control.mark(true, 46 << 2);
        control.segment(1200);
        assert_eq!(control.len, SEND_LEN_MAX);
    }
}
