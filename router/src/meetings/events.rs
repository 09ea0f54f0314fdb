//! What workers report of layers: levels and wraps. Reports of layers that are gone are passed over.

use super::Meetings;
use crate::{LayerId, Order};
use std::time::Instant;
use wire::control::ServerMessage;

impl Meetings {
    pub(super) fn level(&mut self, now: Instant, layer: LayerId, level: u8, voice: bool) {
        let Some(place) = self.layers.get(layer) else { return };
        let stream = &self.streams[&place.stream];
        let (who, id) = (stream.publisher, stream.meeting);
        let meeting = self.meeting_mut(id);
        let Some(speaker) = meeting.speaker.hear(now, who, level, voice) else { return };
        let message =
            ServerMessage::ActiveSpeaker { participant: self.participant(speaker).name.clone() };
        self.tell(speaker, message.clone());
        self.tell_others(id, speaker, &message);
    }

    /// Keeps the counter for those who subscribe later, and for workers that have not heard the wrap. Counters only
    /// grow: a lower one is a report that was overtaken.
    pub(super) fn rollover(&mut self, layer: LayerId, roc: u32) {
        let Some(place) = self.layers.get(layer).copied() else { return };
        let stream = self.streams.get_mut(&place.stream).expect("a layer's stream is known");
        let info = &mut stream.layers[usize::from(place.layer)].info;
        if roc > info.roc {
            info.roc = roc;
            self.order(Order::Rollover { layer, roc });
        }
    }
}
