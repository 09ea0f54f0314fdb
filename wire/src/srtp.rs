//! SRTP and SRTCP with AEAD_AES_128_GCM (RFC 7714), on aws-lc-rs.
//!
//! Keys are immutable and shared; the counters that make nonces unique are values of their owners.
//! Protecting and unprotecting work in place and never allocate; deriving keys may.
//!
//! ```text
//! SRTP:   | RTP header, in clear | encrypted payload | tag, 16 bytes |
//! SRTCP:  | first 8 bytes, in clear | encrypted rest | tag, 16 bytes | E, index, 4 bytes |
//! ```

mod order;

use crate::rtp;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
pub use order::{ReplayWindow, Rollover};

/// Master key and salt of one direction: 16 + 12 bytes. `Debug` never shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// AES-128 master key.
    pub key: [u8; 16],
    /// 96-bit master salt.
    pub salt: [u8; 12],
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Length of the authentication tag.
const TAG_LEN: usize = 16;
/// Length of the E bit and the SRTCP index.
const INDEX_LEN: usize = 4;
/// What SRTCP leaves in clear: header and sender SSRC.
const RTCP_CLEAR_LEN: usize = 8;
/// The E bit: this SRTCP packet is encrypted (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;

/// Bytes the tag adds to RTP.
pub const RTP_OVERHEAD: usize = TAG_LEN;
/// Bytes tag and index add to RTCP.
pub const RTCP_OVERHEAD: usize = TAG_LEN + INDEX_LEN;

/// Session keys of one master key (RFC 3711 §4.3, with the lengths of RFC 7714 §12). `Debug` never
/// shows them.
pub struct SessionKeys {
    rtp: Cipher,
    rtcp: Cipher,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKeys(…)")
    }
}

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
    pub fn derive(master: &MasterKey) -> Self {
        // RFC 3711 §4.3.2 labels. AEAD has no authentication keys, labels 1 and 4.
        Self {
            rtp: Cipher::new(session_bytes(master, 0), session_bytes(master, 2)),
            rtcp: Cipher::new(session_bytes(master, 3), session_bytes(master, 5)),
        }
    }

    /// Encrypts the RTP packet in `packet[..len]` in place and appends the tag; answers the new
    /// length. `roc` and the packet's sequence number must never repeat for the same SSRC under the
    /// same key.
    pub fn protect_rtp(&self, roc: u32, packet: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let new_len = len + TAG_LEN;
        let packet = packet.get_mut(..new_len).ok_or(SrtpError::BufferTooSmall)?;
        let (header_len, nonce) = rtp_nonce(roc, &packet[..len])?;
        let (header, rest) = packet.split_at_mut(header_len);
        self.rtp.seal(nonce, header, rest);
        Ok(new_len)
    }

    /// Decrypts in place; answers the length of the plain RTP packet. The caller keeps the replay
    /// window.
    pub fn unprotect_rtp(&self, roc: u32, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (header_len, nonce) = rtp_nonce(roc, packet)?;
        let (header, rest) = packet.split_at_mut(header_len);
        Ok(header_len + self.rtp.open(nonce, header, rest)?)
    }

    /// Encrypts the RTCP compound in `packet[..len]` in place, appends tag and index (E bit set).
    /// `index` is 31 bits and must never repeat for the same SSRC under the same key.
    pub fn protect_rtcp(
        &self,
        index: u32,
        packet: &mut [u8],
        len: usize,
    ) -> Result<usize, SrtpError> {
        assert!(index < ENCRYPTED, "an SRTCP index has 31 bits");
        let new_len = len + RTCP_OVERHEAD;
        let packet = packet.get_mut(..new_len).ok_or(SrtpError::BufferTooSmall)?;
        if len < RTCP_CLEAR_LEN {
            return Err(SrtpError::Malformed);
        }
        let (sealed, trailer) = packet.split_at_mut(len + TAG_LEN);
        trailer.copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        let (clear, rest) = sealed.split_at_mut(RTCP_CLEAR_LEN);
        self.rtcp.seal(rtcp_nonce(clear, index), &rtcp_aad(clear, trailer), rest);
        Ok(new_len)
    }

    /// Decrypts in place; answers length and index. The caller keeps the replay window. Packets
    /// that are only authenticated (E bit clear, RFC 7714 §9.3) are refused: no peer of ours sends
    /// them.
    pub fn unprotect_rtcp(&self, packet: &mut [u8]) -> Result<(usize, u32), SrtpError> {
        let sealed_len = packet.len().checked_sub(INDEX_LEN).ok_or(SrtpError::Malformed)?;
        let (sealed, trailer) = packet.split_at_mut(sealed_len);
        let (clear, rest) =
            sealed.split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(SrtpError::Malformed)?;
        let word = word(trailer);
        if clear[0] >> 6 != 2 || word & ENCRYPTED == 0 {
            return Err(SrtpError::Malformed);
        }
        let index = word & !ENCRYPTED;
        let nonce = rtcp_nonce(clear, index);
        let plain_len = self.rtcp.open(nonce, &rtcp_aad(clear, trailer), rest)?;
        Ok((RTCP_CLEAR_LEN + plain_len, index))
    }
}

/// A session key with its salt.
struct Cipher {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Cipher {
    fn new(key: [u8; 16], salt: [u8; 12]) -> Self {
        let key = UnboundKey::new(&AES_128_GCM, &key).expect("the key has the algorithm's length");
        Self { key: LessSafeKey::new(key), salt }
    }

    /// Encrypts all but the last 16 bytes of `rest`, which become the tag.
    fn seal(&self, nonce: [u8; 12], aad: &[u8], rest: &mut [u8]) {
        let (text, tag_out) = rest.split_at_mut(rest.len() - TAG_LEN);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.salted(nonce), Aad::from(aad), text)
            .expect("a packet is far shorter than what AES-GCM can seal");
        tag_out.copy_from_slice(tag.as_ref());
    }

    /// Decrypts `rest` but for its tag; answers the length of the plain text.
    fn open(&self, nonce: [u8; 12], aad: &[u8], rest: &mut [u8]) -> Result<usize, SrtpError> {
        let len = rest.len().checked_sub(TAG_LEN).ok_or(SrtpError::Malformed)?;
        let (text, tag) = rest.split_at_mut(len);
        self.key
            .open_in_place_separate_tag(self.salted(nonce), Aad::from(aad), tag, text)
            .map_err(|_| SrtpError::NotAuthentic)?;
        Ok(len)
    }

    fn salted(&self, mut nonce: [u8; 12]) -> Nonce {
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// RFC 7714 §8.1: two zero bytes, SSRC, rollover counter, sequence number. With the length of the
/// header, all of which is authenticated in clear.
fn rtp_nonce(roc: u32, packet: &[u8]) -> Result<(usize, [u8; 12]), SrtpError> {
    let header_len = rtp::Packet::parse(packet).map_err(|_| SrtpError::Malformed)?.header_len();
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&packet[8..12]);
    nonce[6..10].copy_from_slice(&roc.to_be_bytes());
    nonce[10..].copy_from_slice(&packet[2..4]);
    Ok((header_len, nonce))
}

/// RFC 7714 §9.1: two zero bytes, SSRC, two zero bytes, index.
fn rtcp_nonce(clear: &[u8], index: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&clear[4..8]);
    nonce[8..].copy_from_slice(&index.to_be_bytes());
    nonce
}

/// RFC 7714 §9.2: what stays in clear, then the word with E bit and index, although it stands at
/// the packet's end.
fn rtcp_aad(clear: &[u8], trailer: &[u8]) -> [u8; RTCP_CLEAR_LEN + INDEX_LEN] {
    let mut aad = [0; RTCP_CLEAR_LEN + INDEX_LEN];
    aad[..RTCP_CLEAR_LEN].copy_from_slice(clear);
    aad[RTCP_CLEAR_LEN..].copy_from_slice(trailer);
    aad
}

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

/// A session key or salt. RFC 3711's derivation takes a 112-bit salt; the 96 bits of AEAD get zeros
/// behind, as libsrtp has it.
pub(crate) fn session_bytes<const N: usize>(master: &MasterKey, label: u8) -> [u8; N] {
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(&master.salt);
    prf(&master.key, &salt, label)
}

/// AES-CM PRF (RFC 3711 §4.3.3), key derivation rate 0: the key stream from the counter block
/// `(label << 48 ^ salt) << 16` on.
fn prf<const N: usize>(master: &[u8; 16], salt: &[u8; 14], label: u8) -> [u8; N] {
    let mut block = [0; 16];
    block[..14].copy_from_slice(salt);
    block[7] ^= label;
    let mut stream = [0; N];
    UnboundCipherKey::new(&AES_128, master)
        .and_then(EncryptingKey::ctr)
        .and_then(|key| {
            key.less_safe_encrypt(&mut stream, EncryptionContext::Iv128((&block).into()))
        })
        .expect("counter mode takes any 16-byte key and block");
    stream
}

#[cfg(test)]
mod tests;
