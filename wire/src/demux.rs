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
