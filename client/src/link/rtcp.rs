//! A link's RTCP: protected with the link's own keys, replays refused.

use crate::limits::RTCP_SENDERS_MAX;
use rand::Rng;
use std::collections::HashMap;
use wire::Ssrc;
use wire::control::SrtcpKeys;
use wire::limits::PACKET_LEN_MAX;
use wire::rtcp;
use wire::srtp::{RTCP_OVERHEAD, ReplayWindow, SessionKeys};

/// SSRCs up to here belong to the MMR's workers.
const MMR_SSRC_MAX: u32 = 255;

pub(super) struct Crypto {
    own: Ssrc,
    outgoing: SessionKeys,
    index: u32,
    incoming: SessionKeys,
    windows: HashMap<Ssrc, ReplayWindow>,
}

impl Crypto {
    pub(super) fn new(keys: &SrtcpKeys) -> Self {
        Self {
            own: Ssrc(rand::rng().random_range(MMR_SSRC_MAX + 1..=u32::MAX)),
            outgoing: SessionKeys::derive(&keys.client.0),
            index: 0,
            incoming: SessionKeys::derive(&keys.mmr.0),
            windows: HashMap::new(),
        }
    }

    /// Lets `write` make a compound as the link's own sender and protects it.
    pub(super) fn protect(
        &mut self,
        write: impl FnOnce(Ssrc, &mut [u8]) -> Option<usize>,
    ) -> Option<Vec<u8>> {
        let mut packet = vec![0; PACKET_LEN_MAX];
        let len = write(self.own, &mut packet[..PACKET_LEN_MAX - RTCP_OVERHEAD])?;
        // RFC 3711 §3.4: 31 bits that never repeat; at a report a second they last for 68 years.
        self.index = self.index.checked_add(1).filter(|index| index >> 31 == 0)?;
        let len = self.outgoing.protect_rtcp(self.index, &mut packet, len).ok()?;
        packet.truncate(len);
        Some(packet)
    }

    /// Decrypts in place; the compound, unless it is not authentic or was seen before.
    pub(super) fn unprotect<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let (len, index) = self.incoming.unprotect_rtcp(packet).ok()?;
        let compound = &packet[..len];
        let sender = rtcp::sender_ssrc(compound).ok()?;
        if self.windows.len() >= RTCP_SENDERS_MAX && !self.windows.contains_key(&sender) {
            return None;
        }
        let fresh = self.windows.entry(sender).or_default().accept(u64::from(index));
        fresh.then_some(compound)
    }
}
