//! What is measured: who publishes what to how many.

use crate::rig::Device;
use wire::Kind;

/// What each publisher of a shape sends of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Media {
    /// Audio or video.
    pub(crate) kind: Kind,
    /// How many of a meeting's publishers send it: the first so many.
    pub(crate) publishers: u32,
    /// Of RTP, header and all.
    pub(crate) packet_bytes: usize,
    /// They leave as one train.
    pub(crate) frame_packets: u16,
    /// At rate 1.
    pub(crate) frames_per_s: f64,
}

/// What a shape is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// CPU per delivered datagram at rate 1.
    Cost,
    /// The highest loss-free rate, then latency at parts of it.
    Limits,
    /// One and a half times its own loss-free rate.
    Overload,
}

/// One situation that every contender is put into.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// In tables and for `--shape`.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) about: &'static str,
    /// Shapes of one group stand behind each other here and take turns: they are compared with each other.
    pub(crate) group: &'static str,
    /// Whether the floors have a turn: they know neither links nor workers.
    pub(crate) has_floors: bool,
    /// More rounds than this are not worth their time.
    pub(crate) rounds_max: usize,
    /// What the router sends into.
    pub(crate) device: Device,
    /// Part of the datagrams the wire's counter may miss.
    pub(crate) wire_loss_max: f64,
    /// Meetings, all alike.
    pub(crate) meetings: u32,
    /// Per kind.
    pub(crate) media: Vec<Media>,
    /// Receive everything, send nothing. With none, publishers receive each other.
    pub(crate) subscribers: u32,
    /// Bound links beside those that are used.
    pub(crate) idle_links: u32,
    /// Of the router.
    pub(crate) workers: u8,
    /// What is measured.
    pub(crate) looks: &'static [Look],
}

impl Shape {
    /// Publishers of one meeting.
    pub(crate) fn publishers(&self) -> u32 {
        self.media.iter().map(|media| media.publishers).max().unwrap_or(0)
    }

    /// How often each packet is delivered.
    pub(crate) fn fan_out(&self) -> u32 {
        match self.subscribers {
            0 => self.publishers().saturating_sub(1),
            subscribers => subscribers,
        }
    }

    /// People in all meetings, those with idle links left out.
    pub(crate) fn participants(&self) -> u32 {
        self.meetings * (self.publishers() + self.subscribers)
    }
}

const AUDIO: Media = Media {
    kind: Kind::Audio,
    publishers: 20,
    packet_bytes: 160,
    frame_packets: 1,
    frames_per_s: 50.0,
};
const VIDEO: Media = Media {
    kind: Kind::Video,
    publishers: 8,
    packet_bytes: 1_200,
    frame_packets: 8,
    frames_per_s: 30.0,
};

/// What the wire's counter misses beyond this is no hiccup.
const HICCUP_MAX: f64 = 0.01;
/// The same where the kernel sends a thousand copies and more in one burst, faster than the other core counts them: veth's
/// ring holds 256. They were sent, so a cost per datagram delivered is at most told too high by as much.
const BURST_LOSS_MAX: f64 = 0.2;

/// Ten thousand joins take most of a turn.
const MEETINGS_ROUNDS: usize = 3;

/// Every shape there is, in the order of the table in docs/performance.md.
pub(crate) fn all() -> Vec<Shape> {
    let base = Shape {
        name: "audio-50",
        about: "audio: 160 B, single packets, 50 pps × 20 publishers, 1→50",
        group: "audio-50",
        has_floors: true,
        rounds_max: usize::MAX,
        device: Device::Split,
        wire_loss_max: HICCUP_MAX,
        meetings: 1,
        media: vec![AUDIO],
        subscribers: 50,
        idle_links: 0,
        workers: 1,
        looks: &[Look::Cost, Look::Limits],
    };
    let audio =
        |name, about| Shape { name, about, group: name, looks: &[Look::Cost], ..base.clone() };
    let router_alone =
        |group, name, about| Shape { group, has_floors: false, ..audio(name, about) };
    let video = |name, about, publishers, subscribers| Shape {
        media: vec![Media { publishers, ..VIDEO }],
        subscribers,
        ..audio(name, about)
    };
    let mixed = Shape {
        media: vec![Media { publishers: 8, ..AUDIO }, VIDEO],
        looks: &[Look::Overload],
        ..audio(
            "overload",
            "audio and video of 8 publishers, 1→50, at 150 % of the own loss-free rate",
        )
    };
    vec![
        base.clone(),
        Shape {
            media: vec![Media { publishers: 5, ..AUDIO }],
            subscribers: 200,
            ..audio("audio-200", "audio: the same × 5 publishers, 1→200")
        },
        Shape {
            looks: &[Look::Cost, Look::Limits],
            ..video("video-50", "video: 1200 B, frames of 8 at 30 fps × 8 publishers, 1→50", 8, 50)
        },
        Shape {
            wire_loss_max: BURST_LOSS_MAX,
            ..video("video-200", "video: the same × 2 publishers, 1→200", 2, 200)
        },
        Shape {
            device: Device::Whole,
            ..video("video-50-whole", "video 1→50, trains whole to the device", 8, 50)
        },
        Shape {
            device: Device::Whole,
            ..video("video-200-whole", "video 1→200, trains whole to the device", 2, 200)
        },
        Shape {
            idle_links: 30,
            ..router_alone("links", "links-100", "audio 1→50 among 100 bound links")
        },
        Shape {
            idle_links: 9_930,
            ..router_alone("links", "links-10000", "audio 1→50 among 10,000 bound links")
        },
        viewers(&base),
        router_alone("workers", "worker-1", "audio 1→50, one worker"),
        Shape { workers: 2, ..router_alone("workers", "worker-2", "audio 1→50, two workers") },
        mixed,
        meetings(&base),
    ]
}

/// 2.3 Mbit/s to each.
fn viewers(base: &Shape) -> Shape {
    Shape {
        name: "viewers-4000",
        group: "viewers-4000",
        about: "video: 1200 B, frames of 8 at 30 fps, 1 publisher → 4,000 viewers, trains whole to the device",
        has_floors: false,
        rounds_max: MEETINGS_ROUNDS,
        device: Device::Whole,
        wire_loss_max: BURST_LOSS_MAX,
        media: vec![Media { publishers: 1, ..VIDEO }],
        subscribers: 4_000,
        looks: &[Look::Cost],
        ..base.clone()
    }
}

/// At a real meeting's rate ten thousand would send 1.2 million packets a second and get 11 million: no core can.
fn meetings(base: &Shape) -> Shape {
    Shape {
        name: "meetings-1000",
        group: "meetings-1000",
        has_floors: false,
        rounds_max: MEETINGS_ROUNDS,
        about: "1,000 meetings of 10: all send audio, 3 send video, at a fiftieth of a real meeting's rate",
        meetings: 1_000,
        media: vec![
            Media { publishers: 10, frames_per_s: 1.0, ..AUDIO },
            Media { publishers: 3, frames_per_s: 0.6, ..VIDEO },
        ],
        subscribers: 0,
        looks: &[Look::Cost],
        ..base.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_different() {
        let shapes = all();
        let names: BTreeSet<_> = shapes.iter().map(|shape| shape.name).collect();
        assert_eq!(names.len(), shapes.len());
    }

    #[test]
    fn a_group_is_on_one_device() {
        let shapes = all();
        let groups = shapes.chunk_by(|one, next| one.group == next.group);
        for group in groups.clone() {
            assert!(
                group.iter().all(|shape| shape.device == group[0].device),
                "{}",
                group[0].group
            );
        }
        let names: BTreeSet<_> = groups.clone().map(|group| group[0].group).collect();
        assert_eq!(names.len(), groups.count());
    }

    #[test]
    fn as_many_links_are_bound_as_the_name_says() {
        let links = |shape: &Shape| shape.participants() + shape.idle_links;
        let bound: Vec<_> = all().iter().filter(|it| it.group == "links").map(links).collect();
        assert_eq!(bound, [100, 10_000]);
    }

    #[test]
    fn nobody_gets_their_own_packets() {
        let shapes = all();
        let meetings = shapes.iter().find(|shape| shape.subscribers == 0).expect("there is one");
        assert_eq!((meetings.fan_out(), meetings.participants()), (9, 10_000));
    }
}
