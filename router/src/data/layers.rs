//! Every layer: its label, whose it is, and what is known of how it arrives.

use super::clock::Stamp;
use super::express::Express;
use super::ingress::Ingress;
use super::level::LevelMeter;
use super::police::Bucket;
use crate::{LayerId, LayerSpec, MeetingId};
use hashbrown::HashMap;
use wire::{Kind, Ssrc};

/// A layer.
pub(super) struct Layer {
    /// Its number.
    pub(super) id: LayerId,
    /// Its publisher's link, by index.
    pub(super) link: u32,
    /// Its meeting.
    pub(super) meeting: MeetingId,
    /// Its label.
    pub(super) ssrc: Ssrc,
    /// Of all its packets.
    pub(super) kind: Kind,
    /// What arrived.
    pub(super) ingress: Ingress,
    /// What may arrive.
    pub(super) bucket: Bucket,
    /// How loud it is.
    pub(super) level: LevelMeter,
    /// A keyframe was asked for and has not come.
    pub(super) keyframe_wanted: bool,
    /// When its publisher was last asked.
    pub(super) pli_at: Option<Stamp>,
    /// Given up when the worker could not keep up; taken back with a keyframe.
    pub(super) given_up: bool,
    /// Whom the kernel serves.
    pub(super) express: Express,
    /// The publisher's last sender report: middle 32 bits of its NTP time, and when it came.
    pub(super) sender_report: Option<(u32, Stamp)>,
}

impl Layer {
    fn new(spec: &LayerSpec) -> Self {
        Self {
            id: spec.id,
            link: spec.link.index,
            meeting: spec.meeting,
            ssrc: spec.ssrc,
            kind: spec.kind,
            // docs/protocol.md: the label tells where its numbers start.
            ingress: Ingress::beginning_at(u64::from(spec.ssrc.0 & 0x7fff)),
            bucket: Bucket::of_layer(spec.max_bitrate),
            level: LevelMeter::default(),
            keyframe_wanted: false,
            pli_at: None,
            given_up: false,
            express: Express::default(),
            sender_report: None,
        }
    }

    /// Ticks of its timestamps per second: RFC 7587 §4.1 for Opus, 90 kHz for every video payload format.
    pub(super) const fn clock_rate(&self) -> u32 {
        match self.kind {
            Kind::Audio => 48_000,
            Kind::Video | Kind::Content => 90_000,
        }
    }
}

/// The layers of one worker.
pub(super) struct Layers {
    table: Vec<Option<Layer>>,
    /// By publisher's link and label: for what arrives.
    by_link: HashMap<(u32, Ssrc), u32>,
    /// By meeting and label: for feedback.
    by_meeting: HashMap<(MeetingId, Ssrc), u32>,
}

impl Layers {
    /// Takes memory for `capacity` layers.
    pub(super) fn new(capacity: u32) -> Self {
        let size = capacity as usize;
        Self {
            table: (0..size).map(|_| None).collect(),
            by_link: HashMap::with_capacity(2 * size),
            by_meeting: HashMap::with_capacity(2 * size),
        }
    }

    /// Packets of the layer are taken from now on.
    pub(super) fn add(&mut self, spec: &LayerSpec) {
        let place = &mut self.table[spec.id.index as usize];
        assert!(place.is_none(), "control gave a layer's index away twice");
        *place = Some(Layer::new(spec));
        let former = self.by_meeting.insert((spec.meeting, spec.ssrc), spec.id.index);
        assert!(former.is_none(), "control gave an SSRC away twice in a meeting");
        self.by_link.insert((spec.link.index, spec.ssrc), spec.id.index);
    }

    /// No longer.
    pub(super) fn remove(&mut self, id: LayerId) -> Layer {
        assert!(self.get(id).is_some(), "control removed a layer that is not there");
        let layer = self.table[id.index as usize].take().expect("asserted above");
        self.by_meeting.remove(&(layer.meeting, layer.ssrc));
        self.by_link.remove(&(layer.link, layer.ssrc));
        layer
    }

    /// A layer that is still the one meant.
    pub(super) fn get(&self, id: LayerId) -> Option<&Layer> {
        self.at(id.index).filter(|layer| layer.id == id)
    }

    /// The same, to change.
    pub(super) fn get_mut(&mut self, id: LayerId) -> Option<&mut Layer> {
        self.at_mut(id.index).filter(|layer| layer.id == id)
    }

    /// The layer with this index.
    pub(super) fn at(&self, index: u32) -> Option<&Layer> {
        self.table.get(index as usize)?.as_ref()
    }

    /// The layer with this index, to change.
    pub(super) fn at_mut(&mut self, index: u32) -> Option<&mut Layer> {
        self.table.get_mut(index as usize)?.as_mut()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_link.len()
    }

    /// The layer with this label that is published over a link.
    pub(super) fn of_link(&self, link: u32, ssrc: Ssrc) -> Option<u32> {
        self.by_link.get(&(link, ssrc)).copied()
    }

    /// The layer with this label in a meeting.
    pub(super) fn of_meeting(&self, meeting: MeetingId, ssrc: Ssrc) -> Option<u32> {
        self.by_meeting.get(&(meeting, ssrc)).copied()
    }
}
