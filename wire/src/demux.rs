//! Tells the protocols on one port apart by their first bytes (RFC 7983 §7, RFC 5761 §4).

/// What a packet claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// First byte 0..=3.
    Stun,
    /// First byte 20..=63.
    Dtls,
    /// First byte 128..=191, second byte not an RTCP packet type.
    Rtp,
    /// First byte 128..=191, second byte 192..=223.
    Rtcp,
}

/// The class of a packet; `None` for anything RFC 7983 does not assign, and for the empty packet.
pub fn classify(packet: &[u8]) -> Option<Class> {
    match (*packet.first()?, packet.get(1)) {
        (0..=3, _) => Some(Class::Stun),
        (20..=63, _) => Some(Class::Dtls),
        (128..=191, Some(192..=223)) => Some(Class::Rtcp),
        (128..=191, Some(_)) => Some(Class::Rtp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table_of_rfc7983() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Some(Class::Stun),
                20..=63 => Some(Class::Dtls),
                128..=191 => Some(Class::Rtp),
                _ => None,
            };
            assert_eq!(classify(&[first, 96]), expected, "first byte {first}");
        }
    }

    #[test]
    fn tells_rtcp_from_rtp_by_the_second_byte() {
        for second in 0..=255 {
            // RFC 5761 §4: packet types 192..=223 are RTP's 64..=95 with the marker bit, never
            // assigned to it.
            let rtcp = (192..=223).contains(&second);
            let expected = if rtcp { Class::Rtcp } else { Class::Rtp };
            assert_eq!(classify(&[0x80, second]), Some(expected), "second byte {second}");
        }
    }

    #[test]
    fn takes_no_packet_of_one_byte_for_media() {
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[0x80]), None);
    }
}
