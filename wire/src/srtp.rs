//! SRTP and SRTCP with AEAD_AES_128_GCM (RFC 7714), on aws-lc-rs.
//!
//! Keys are immutable and shared; the counters that make nonces unique are values of their owners.

use crate::Seq;

/// Master key and salt of one direction: 16 + 12 bytes. `Debug` never shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// AES-128 master key.
    pub key: [u8; 16],
    /// 96-bit master salt.
    pub salt: [u8; 12],
}

/// Bytes the tag adds to RTP.
pub const RTP_OVERHEAD: usize = 16;
/// Bytes tag and index add to RTCP.
pub const RTCP_OVERHEAD: usize = 20;

/// Session keys of one master key (RFC 3711 §4.3 with the AEAD labels of RFC 7714 §11).
pub struct SessionKeys {}

/// Why a packet could not be unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Too short, or its header does not parse.
    #[error("malformed")]
    Malformed,
    /// The tag does not fit key, header and payload.
    #[error("not authentic")]
    NotAuthentic,
    /// The packet does not fit the buffer.
    #[error("buffer too small")]
    BufferTooSmall,
}

impl SessionKeys {
    /// Derives the session keys, key derivation rate 0.
    pub fn derive(_master: &MasterKey) -> Self {
        todo!()
    }
    /// Encrypts the RTP packet in `packet[..len]` in place and appends the tag; answers the new length.
    pub fn protect_rtp(
        &self,
        _roc: u32,
        _packet: &mut [u8],
        _len: usize,
    ) -> Result<usize, SrtpError> {
        todo!()
    }
    /// Decrypts in place; answers the length of the plain RTP packet.
    pub fn unprotect_rtp(&self, _roc: u32, _packet: &mut [u8]) -> Result<usize, SrtpError> {
        todo!()
    }
    /// Encrypts the RTCP compound in `packet[..len]` in place, appends tag and index (E bit set). `index` is 31 bits
    /// and must never repeat for the same SSRC under the same key.
    pub fn protect_rtcp(
        &self,
        _index: u32,
        _packet: &mut [u8],
        _len: usize,
    ) -> Result<usize, SrtpError> {
        todo!()
    }
    /// Decrypts in place; answers length and index. The caller keeps the replay window.
    pub fn unprotect_rtcp(&self, _packet: &mut [u8]) -> Result<(usize, u32), SrtpError> {
        todo!()
    }
}

/// Which packets of a sender were seen: 64 wide (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayWindow {
    highest: u64,
    seen: u64,
}

impl ReplayWindow {
    /// Notes `index`; false when it was seen before or is older than the window.
    pub fn accept(&mut self, _index: u64) -> bool {
        let _ = (self.highest, self.seen);
        todo!()
    }
}

/// Guesses the rollover counter of incoming packets (RFC 3711 §3.3.1, appendix A).
#[derive(Clone, Copy, Debug)]
pub struct Rollover {
    roc: u32,
    highest: Option<Seq>,
}

impl Rollover {
    /// Starts at the counter the control channel told.
    pub fn new(roc: u32) -> Self {
        Self { roc, highest: None }
    }
    /// The counter under which a packet with this sequence number was most likely sent.
    pub fn guess(&self, _seq: Seq) -> u32 {
        let _ = (self.roc, self.highest);
        todo!()
    }
    /// Notes an authentic packet that was sent under `roc`.
    pub fn update(&mut self, _seq: Seq, _roc: u32) {
        todo!()
    }
    /// The counter of the highest packet seen.
    pub fn roc(&self) -> u32 {
        self.roc
    }
}
