//! Who speaks in a meeting. With hysteresis: a cough or two people at once must not make the picture jump.

use super::ParticipantId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Below this nobody speaks: −60 dBov, a quiet room.
const SPEECH_MIN: u8 = 127 - 60;
/// How much louder, in dB, a challenger must be than whoever speaks now.
const MARGIN: u8 = 6;
/// For how long it must be so.
const HOLD: Duration = Duration::from_millis(400);
/// Whoever was not heard for this long is silent.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// What is not marked as speech (RFC 6464 V) counts as this much quieter, in dB.
const NO_VOICE_PENALTY: u8 = 30;

/// A meeting's speaker, decided from the levels workers report. Work per report does not depend on the meeting's size.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    current: Option<ParticipantId>,
    challenger: Option<Challenger>,
    voices: BTreeMap<ParticipantId, Voice>,
}

#[derive(Clone, Copy, Debug)]
struct Challenger {
    who: ParticipantId,
    since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Voice {
    /// In dB above silence, 0..=127: rises at once and falls slowly, over the pauses between words.
    loudness: u8,
    heard_at: Instant,
}

impl Speaker {
    /// Notes a level (−dBov, 0 loudest); answers who speaks when that has changed.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        who: ParticipantId,
        level: u8,
        voice: bool,
    ) -> Option<ParticipantId> {
        self.note(now, who, level, voice);
        if self.current == Some(who) {
            return None;
        }
        if !self.is_ahead(now, who) {
            self.challenger.take_if(|challenger| challenger.who == who);
            return None;
        }
        if self.current.is_none() || self.has_held(now, who) {
            self.current = Some(who);
            self.challenger = None;
            return self.current;
        }
        self.challenge(now, who);
        None
    }

    /// Who went or ended their audio.
    pub(super) fn forget(&mut self, who: ParticipantId) {
        self.voices.remove(&who);
        self.challenger.take_if(|challenger| challenger.who == who);
        self.current.take_if(|current| *current == who);
    }

    pub(super) fn current(&self) -> Option<ParticipantId> {
        self.current
    }

    fn note(&mut self, now: Instant, who: ParticipantId, level: u8, voice: bool) {
        let penalty = if voice { 0 } else { NO_VOICE_PENALTY };
        let loudness = 127_u8.saturating_sub(level).saturating_sub(penalty);
        let smoothed = match self.voices.get(&who) {
            Some(before) if now.duration_since(before.heard_at) < SILENT_AFTER => {
                loudness.max(before.loudness.midpoint(loudness))
            }
            _ => loudness,
        };
        self.voices.insert(who, Voice { loudness: smoothed, heard_at: now });
    }

    /// Loud enough to take over, if it lasts.
    fn is_ahead(&self, now: Instant, who: ParticipantId) -> bool {
        let loudness = self.loudness(now, who);
        let current = self.current.map_or(0, |current| self.loudness(now, current));
        loudness >= SPEECH_MIN && loudness >= current + MARGIN
    }

    fn has_held(&self, now: Instant, who: ParticipantId) -> bool {
        self.challenger.is_some_and(|challenger| {
            challenger.who == who && now.duration_since(challenger.since) >= HOLD
        })
    }

    /// One challenger at a time: the loudest.
    fn challenge(&mut self, now: Instant, who: ParticipantId) {
        let replaces = self.challenger.is_none_or(|challenger| {
            challenger.who != who && self.loudness(now, challenger.who) < self.loudness(now, who)
        });
        if replaces {
            self.challenger = Some(Challenger { who, since: now });
        }
    }

    fn loudness(&self, now: Instant, who: ParticipantId) -> u8 {
        match self.voices.get(&who) {
            Some(voice) if now.duration_since(voice.heard_at) < SILENT_AFTER => voice.loudness,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ParticipantId = ParticipantId(1);
    const BOB: ParticipantId = ParticipantId(2);
    const QUIET: u8 = 100;
    const TALKING: u8 = 30;
    const SHOUTING: u8 = 5;

    /// Plays levels of Ann and Bob, one pair every 100 ms, and lists who became the speaker when.
    fn play(levels: &[(u8, u8)]) -> Vec<(usize, ParticipantId)> {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        let mut changes = Vec::new();
        for (step, &(ann, bob)) in levels.iter().enumerate() {
            let now = start + Duration::from_millis(100) * u32::try_from(step).unwrap_or(0);
            changes.extend(speaker.hear(now, ANN, ann, true).map(|who| (step, who)));
            changes.extend(speaker.hear(now, BOB, bob, true).map(|who| (step, who)));
        }
        changes
    }

    #[test]
    fn the_first_who_talks_speaks_at_once() {
        assert_eq!(play(&[(QUIET, QUIET), (QUIET, TALKING)]), [(1, BOB)]);
    }

    #[test]
    fn a_cough_changes_nothing() {
        let mut levels = vec![(TALKING, QUIET); 10];
        levels.extend([(TALKING, SHOUTING); 2]);
        levels.extend([(TALKING, QUIET); 10]);
        assert_eq!(play(&levels), [(0, ANN)]);
    }

    #[test]
    fn who_stays_louder_takes_over_after_the_hold() {
        let mut levels = vec![(TALKING, QUIET); 5];
        levels.extend([(QUIET, TALKING); 10]);
        let changes = play(&levels);
        assert_eq!(changes.len(), 2);
        let (step, who) = changes[1];
        assert_eq!(who, BOB);
        assert!((9..12).contains(&step), "took over at step {step}");
    }

    #[test]
    fn equal_voices_do_not_alternate() {
        let mut levels = vec![(TALKING, QUIET); 5];
        levels.extend([(TALKING, TALKING - 3); 50]);
        assert_eq!(play(&levels), [(0, ANN)]);
    }

    #[test]
    fn noise_that_is_not_speech_does_not_take_over() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        for step in 0..50 {
            let now = start + Duration::from_millis(100) * step;
            speaker.hear(now, ANN, TALKING, true);
            assert_eq!(speaker.hear(now, BOB, SHOUTING + 10, false), None);
        }
        assert_eq!(speaker.current(), Some(ANN));
    }

    #[test]
    fn who_vanishes_gives_way_and_who_left_is_forgotten() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        speaker.hear(start, ANN, SHOUTING, true);
        let mut heard = Vec::new();
        for step in 0..20 {
            let now = start + Duration::from_millis(100) * step;
            heard.extend(speaker.hear(now, BOB, TALKING, true));
        }
        assert_eq!(heard, [BOB]);
        speaker.forget(BOB);
        assert_eq!(speaker.current(), None);
    }
}
