//! What is due, and when. Links and layers are on a wheel only while something may become due for them.

use super::Router;
use super::clock::{Stamp, nanos};
use super::wheel::Wheel;
use crate::{Event, Outbox, limits};
use std::time::Duration;

/// How exact consent is: it ends up to this early, so that nothing is sent after its time.
const CONSENT_TICK: Duration = Duration::from_millis(64);
const REPORT_TICK: Duration = Duration::from_millis(10);
const LEVEL_TICK: Duration = Duration::from_millis(10);
const KEYFRAME_TICK: Duration = Duration::from_millis(4);
/// How soon control is told again what its queue had no room for.
const UNTOLD_TICK: Duration = Duration::from_millis(50);
/// How long a router with nothing to do may be left alone.
const IDLE: Duration = Duration::from_secs(1);

/// The wheels.
pub(super) struct Timers {
    /// Links that are bound.
    consent: Wheel,
    /// Links over which media came.
    reports: Wheel,
    /// Audio layers that were heard.
    levels: Wheel,
    /// Layers a keyframe is wanted of.
    keyframes: Wheel,
    /// Links that control does not know the whereabouts of, as its queue was full.
    untold: Wheel,
    /// When due work was last looked for.
    served_at: Stamp,
}

impl Timers {
    /// Takes memory for this many links and layers.
    pub(super) fn new(links: u32, layers: u32) -> Self {
        Self {
            consent: Wheel::new(links, CONSENT_TICK),
            reports: Wheel::new(links, REPORT_TICK),
            levels: Wheel::new(layers, LEVEL_TICK),
            keyframes: Wheel::new(layers, KEYFRAME_TICK),
            untold: Wheel::new(links, UNTOLD_TICK),
            served_at: Stamp(0),
        }
    }

    /// A link consented.
    pub(super) fn expect_consent(&mut self, link: u32, consent_at: Stamp) {
        self.consent.insert(link, consent_ends(consent_at));
    }

    /// Control could not be told where a link is, or that it is nowhere.
    pub(super) fn retry_telling(&mut self, link: u32, now: Stamp) {
        self.untold.insert(link, now.plus(UNTOLD_TICK));
    }

    /// Media came over a link: its publisher gets a report.
    pub(super) fn expect_report(&mut self, link: u32, now: Stamp) {
        self.reports.insert(link, now.plus(limits::REPORT_INTERVAL));
    }

    /// A level came of a layer.
    pub(super) fn expect_level(&mut self, layer: u32, now: Stamp) {
        self.levels.insert(layer, now.plus(limits::LEVEL_INTERVAL));
    }

    /// A keyframe is to be asked for.
    pub(super) fn expect_keyframe(&mut self, layer: u32, due: Stamp) {
        self.keyframes.insert(layer, due);
    }
}

/// When consent ends that was given at `consent_at`.
pub(super) fn consent_ends(consent_at: Stamp) -> Stamp {
    Stamp(consent_at.plus(limits::CONSENT_TIMEOUT).0 - nanos(CONSENT_TICK))
}

impl Router {
    /// Does what is due, at most `TIMERS_PER_CALL_MAX` of each.
    pub(super) fn serve_timers(&mut self, now: Stamp, outbox: &mut Outbox) {
        self.timers.served_at = now;
        self.ask_for_missing(now, outbox);
        for _ in 0..limits::TIMERS_PER_CALL_MAX {
            let Some(layer) = self.timers.keyframes.pop(now) else { break };
            self.check_keyframe(layer, now, outbox);
        }
        for _ in 0..limits::TIMERS_PER_CALL_MAX {
            let Some(layer) = self.timers.levels.pop(now) else { break };
            self.tell_level(layer);
        }
        for _ in 0..limits::TIMERS_PER_CALL_MAX {
            let Some(link) = self.timers.reports.pop(now) else { break };
            self.report_reception(link, now, outbox);
        }
        for _ in 0..limits::TIMERS_PER_CALL_MAX {
            let Some(link) = self.timers.consent.pop(now) else { break };
            self.check_consent(link, now);
        }
        for _ in 0..limits::TIMERS_PER_CALL_MAX {
            let Some(link) = self.timers.untold.pop(now) else { break };
            self.announce(link, now);
        }
    }

    /// When `serve_timers` has something to do.
    pub(super) fn next_due(&self) -> Stamp {
        let timers = &self.timers;
        let Timers { consent, reports, levels, keyframes, untold, .. } = &self.timers;
        let wheels = [consent, reports, levels, keyframes, untold];
        let dues = wheels.into_iter().filter_map(Wheel::next_due).chain(self.gaps.next_due());
        dues.min().unwrap_or(timers.served_at.plus(IDLE))
    }

    fn tell_level(&mut self, index: u32) {
        let Some(layer) = self.layers.at_mut(index) else { return };
        let (id, level) = (layer.id, layer.level.take());
        if let Some((level, voice)) = level {
            self.tell_control(Event::Level { layer: id, level, voice });
        }
    }
}
