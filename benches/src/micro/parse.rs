//! Demultiplexing by the first bytes, and parsing what comes most often.

use super::Micro;
use crate::train::Train;
use std::hint::black_box;
use wire::demux::classify;
use wire::rtp::Packet;
use wire::{Kind, Seq, Ssrc, rtcp};

pub(super) fn benches() -> Vec<Micro> {
    vec![
        Micro::new("parse/demux-of-4", 4, || {
            let firsts: [[u8; 12]; 4] =
                [[0, 1], [22, 254], [0x90, 96], [0x81, 205]].map(|[first, second]| {
                    let mut packet = [0; 12];
                    packet[..2].copy_from_slice(&[first, second]);
                    packet
                });
            move || {
                for packet in &firsts {
                    assert!(black_box(classify(black_box(packet))).is_some());
                }
            }
        }),
        Micro::new("parse/rtp-audio-level", 1, || {
            let audio = Train::new(Kind::Audio, 1, 160).bytes;
            move || {
                let packet = Packet::parse(black_box(&audio)).expect("it is RTP");
                black_box((packet.ssrc(), packet.seq(), packet.audio_level()));
            }
        }),
        Micro::new("parse/rtp-frame-marking", 1, || {
            let video = Train::new(Kind::Video, 1, 1_200).bytes;
            move || {
                let packet = Packet::parse(black_box(&video)).expect("it is RTP");
                black_box((packet.ssrc(), packet.seq(), packet.frame_marking()));
            }
        }),
        Micro::new("parse/rtcp-nack", 1, || {
            let mut packet = vec![0; 64];
            let lost = [(Seq(7), 3), (Seq(90), 0)];
            let len = rtcp::write_nack(Ssrc(1_000), Ssrc(2_000), &lost, &mut packet)
                .expect("two entries fit");
            packet.truncate(len);
            move || {
                let mut said = 0;
                rtcp::parse(black_box(&packet), |report| {
                    black_box(report);
                    said += 1;
                })
                .expect("it is RTCP");
                assert_eq!(said, 2, "one report for each entry");
            }
        }),
    ]
}
