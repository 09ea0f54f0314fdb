//! What must not be guessed, and what must not collide: user fragments, passwords, sessions, keys, SSRCs.

use super::Meetings;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use wire::Ssrc;
use wire::control::Key;
use wire::limits::UFRAG_LEN;
use wire::srtp::MasterKey;

/// ice-char (RFC 8839 §5.4): 64 of them, six bits each.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// RFC 8445 §5.3 asks for 128 bits: 22 characters carry 132.
const PASSWORD_LEN: usize = 22;
/// 192 bits: whoever knows it is the participant.
const SESSION_LEN: usize = 32;
/// Workers send RTCP under their number + 1; no layer's label may look like theirs.
const SSRC_MIN: u32 = 256;

const _: () = assert!(crate::limits::WORKERS_MAX < SSRC_MIN as usize);

pub(super) fn password(random: &mut ChaCha20Rng) -> String {
    text(random, PASSWORD_LEN)
}

pub(super) fn session(random: &mut ChaCha20Rng) -> String {
    text(random, SESSION_LEN)
}

pub(super) fn key(random: &mut ChaCha20Rng) -> Key {
    Key(MasterKey { key: random.random(), salt: random.random() })
}

impl Meetings {
    /// A user fragment no link has.
    pub(super) fn new_ufrag(&mut self) -> [u8; UFRAG_LEN] {
        loop {
            let ufrag = std::array::from_fn(|_| ice_char(&mut self.random));
            if self.ufrags.insert(ufrag) {
                return ufrag;
            }
        }
    }
}

/// A label `taken` does not hold; the space is so much larger than any meeting that the loop ends soon.
pub(super) fn ssrc(random: &mut ChaCha20Rng, taken: impl Fn(Ssrc) -> bool) -> Ssrc {
    loop {
        let ssrc = Ssrc(random.random_range(SSRC_MIN..=u32::MAX));
        if !taken(ssrc) {
            return ssrc;
        }
    }
}

fn text(random: &mut ChaCha20Rng, len: usize) -> String {
    (0..len).map(|_| char::from(ice_char(random))).collect()
}

fn ice_char(random: &mut ChaCha20Rng) -> u8 {
    ICE_CHARS[random.random_range(0..ICE_CHARS.len())]
}
