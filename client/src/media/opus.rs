//! What an Opus packet says about itself in its first bytes (RFC 6716 §3).

/// Samples at 48 kHz that no packet exceeds: 120 ms (RFC 6716 §3.2.5, R5).
pub const SAMPLES_MAX: u32 = 5_760;

/// How long a packet plays, in samples at 48 kHz; `None` when it is no Opus packet.
pub fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3f),
    };
    let samples = frame_samples(toc >> 3) * count;
    (samples > 0 && samples <= SAMPLES_MAX).then_some(samples)
}

/// RFC 6716 §3.1, table 2: one frame of each configuration.
fn frame_samples(config: u8) -> u32 {
    let step = usize::from(config % 4);
    match config {
        0..=11 => [480, 960, 1_920, 2_880][step],
        12..=15 => [480, 960][step % 2],
        _ => [120, 240, 480, 960][step],
    }
}

/// Whether the packet is coded in stereo: the `s` bit (RFC 6716 §3.1).
pub fn is_stereo(packet: &[u8]) -> bool {
    packet.first().is_some_and(|toc| toc & 4 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6716 §3.1: configuration, stereo, code of the number of frames.
    const fn toc(config: u8, stereo: bool, code: u8) -> u8 {
        config << 3 | (stereo as u8) << 2 | code
    }

    #[test]
    fn durations_follow_the_table_of_rfc_6716() {
        // SILK 10 and 60 ms, hybrid 20 ms, CELT 2.5 and 20 ms; then frame counts 2, 2 and 6.
        for (packet, expected) in [
            (&[toc(0, false, 0)][..], Some(480)),
            (&[toc(3, false, 0)], Some(2_880)),
            (&[toc(13, true, 0)], Some(960)),
            (&[toc(16, false, 0)], Some(120)),
            (&[toc(31, true, 0)], Some(960)),
            (&[toc(31, true, 1)], Some(1_920)),
            (&[toc(31, true, 2)], Some(1_920)),
            (&[toc(31, true, 3), 6], Some(5_760)),
            (&[toc(31, true, 3), 7], None),
            (&[toc(31, true, 3), 0], None),
            (&[toc(31, true, 3)], None),
            (&[], None),
        ] {
            assert_eq!(samples(packet), expected, "{packet:?}");
        }
    }
}
