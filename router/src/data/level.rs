//! How loud an audio layer was since it was last told (RFC 6464).

use wire::rtp::AudioLevel;

/// Sums levels until they are told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LevelMeter {
    sum: u32,
    packets: u32,
    voice: bool,
}

impl LevelMeter {
    /// Notes one packet's.
    pub(super) fn note(&mut self, level: AudioLevel) {
        // A policed layer cannot send enough packets in an interval to overflow; a stopped timer could let it.
        self.sum = self.sum.saturating_add(u32::from(level.level));
        self.packets = self.packets.saturating_add(1);
        self.voice |= level.voice;
    }

    /// Mean level in −dBov and whether any packet was speech, since the last call; `None` when nothing was noted.
    pub(super) fn take(&mut self) -> Option<(u8, bool)> {
        let meter = std::mem::take(self);
        let mean = meter.sum.checked_div(meter.packets)?;
        Some((u8::try_from(mean).unwrap_or(u8::MAX), meter.voice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_mean_and_starts_again() {
        let mut meter = LevelMeter::default();
        meter.note(AudioLevel { voice: false, level: 20 });
        meter.note(AudioLevel { voice: true, level: 41 });
        assert_eq!(meter.take(), Some((30, true)));
        assert_eq!(meter.take(), None);
    }
}
