//! What a receiver must remember of an SRTP sender: which packets it saw, and how often sequence
//! numbers wrapped.

use crate::Seq;

/// Which packets of a sender were seen: 64 wide (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayWindow {
    highest: u64,
    /// Bit n: `highest − n` was seen.
    seen: u64,
}

impl ReplayWindow {
    /// Notes `index`; false when it was seen before or is older than the window. Only for authentic
    /// packets: a forged one must not move the window.
    pub fn accept(&mut self, index: u64) -> bool {
        if index > self.highest {
            let ahead = u32::try_from(index - self.highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = index;
            return true;
        }
        let behind = u32::try_from(self.highest - index).unwrap_or(u32::MAX);
        let Some(bit) = 1_u64.checked_shl(behind) else { return false };
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh
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
    pub const fn new(roc: u32) -> Self {
        Self { roc, highest: None }
    }

    /// The counter under which a packet with this sequence number was most likely sent.
    pub const fn guess(&self, seq: Seq) -> u32 {
        let Some(highest) = self.highest else { return self.roc };
        let ahead = seq.distance_from(highest);
        if ahead > 0 && seq.0 < highest.0 {
            self.roc.wrapping_add(1)
        } else if ahead < 0 && ahead != i16::MIN && seq.0 > highest.0 {
            self.roc.wrapping_sub(1)
        } else {
            self.roc
        }
    }

    /// Notes an authentic packet that was sent under `roc`.
    pub const fn update(&mut self, seq: Seq, roc: u32) {
        let later = match self.highest {
            None => true,
            Some(highest) => match roc.wrapping_sub(self.roc).cast_signed() {
                0 => seq.0 > highest.0,
                rounds => rounds > 0,
            },
        };
        if later {
            self.highest = Some(seq);
            self.roc = roc;
        }
    }

    /// The counter of the highest packet seen.
    pub const fn roc(&self) -> u32 {
        self.roc
    }
}
