#![allow(clippy::unwrap_used)] // a test may fail by panic

use super::*;
use crate::media::bits::{leb128_len, write_leb128};
use proptest::prelude::*;

/// What 1200-byte packets leave for the payload, and smaller, so that every way of cutting happens.
fn payload_len_max() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1_156), 8_usize..300]
}

fn vp8_frame() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..5_000)
}

/// One OBU with a size field in its shortest form or one byte longer; never a temporal delimiter.
fn obu() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(1_u8), 3_u8..=7, Just(15)];
    let len = prop_oneof![0_usize..6, 100_usize..140, 0_usize..4_000];
    (kind, any::<Option<u8>>(), any::<bool>(), len, any::<u8>()).prop_map(
        |(kind, extension, longer, len, fill)| {
            let mut obu = vec![kind << 3 | u8::from(extension.is_some()) << 2 | 2];
            obu.extend(extension);
            write_leb128(len, leb128_len(len) + usize::from(longer), &mut obu);
            obu.extend((0..len).map(|index| fill.wrapping_add(index.to_le_bytes()[0])));
            obu
        },
    )
}

fn av1_unit() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(obu(), 1..12).prop_map(|obus| {
        let mut unit = vec![0x12, 0];
        unit.extend(obus.concat());
        unit
    })
}

fn cut_and_join(codec: Codec, frames: &[Vec<u8>], len_max: usize) {
    let mut packetizer = Packetizer::new(codec);
    let mut depacketizer = Depacketizer::new(codec);
    let mut index = 65_530;
    for (number, data) in frames.iter().enumerate() {
        let keyframe = match codec {
            Codec::Opus => true,
            Codec::Vp8 => is_vp8_keyframe(data),
            Codec::Av1 => is_av1_keyframe(data),
        };
        let frame = Frame { timestamp: number as u64 * 3_000, keyframe, data: data.clone().into() };
        let payloads = packetizer.cut(&frame, len_max).unwrap();
        let (last, train) = payloads.split_last().unwrap();
        assert!(train.iter().all(|payload| payload.bytes.len() == len_max), "not a train");
        assert!(last.bytes.len() <= len_max);
        let mut joined = None;
        for (position, payload) in payloads.iter().enumerate() {
            assert_eq!(joined, None, "whole before its last packet");
            let start = (codec != Codec::Vp8).then_some(position == 0);
            joined = depacketizer.receive(Piece {
                index,
                timestamp: frame.timestamp,
                marker: payload.marker,
                start,
                payload: &payload.bytes,
            });
            index += 1;
        }
        assert_eq!(joined.as_ref(), Some(&frame));
    }
    assert_eq!(depacketizer.incomplete(), 0);
}

/// Every frame arrives whole or not at all when packets are missing; nothing panics.
fn cut_and_join_with_loss(codec: Codec, frames: &[Vec<u8>], len_max: usize, lost: &[bool]) {
    let mut packetizer = Packetizer::new(codec);
    let mut depacketizer = Depacketizer::new(codec);
    let (mut index, mut whole) = (0_usize, 0);
    for (number, data) in frames.iter().enumerate() {
        let timestamp = number as u64;
        let frame = Frame { timestamp, keyframe: false, data: data.clone().into() };
        let mut missed = false;
        for (position, payload) in packetizer.cut(&frame, len_max).unwrap().iter().enumerate() {
            index += 1;
            if lost.get(index % lost.len()) == Some(&true) {
                missed = true;
                continue;
            }
            let start = Some(position == 0);
            let (marker, payload) = (payload.marker, &payload.bytes);
            let joined = depacketizer.receive(Piece {
                index: index as u64,
                timestamp,
                marker,
                start,
                payload,
            });
            if let Some(joined) = joined {
                assert!(!missed, "a frame with a hole was given out");
                assert_eq!(&joined.data, data);
                whole += 1;
            }
        }
        assert_eq!(whole + u64::from(missed), 1, "a whole frame was withheld, or one given twice");
        whole = 0;
    }
}

proptest! {
    #[test]
    fn vp8_frames_survive(frames in proptest::collection::vec(vp8_frame(), 1..8), len_max in payload_len_max()) {
        cut_and_join(Codec::Vp8, &frames, len_max);
    }

    #[test]
    fn av1_frames_survive(frames in proptest::collection::vec(av1_unit(), 1..8), len_max in payload_len_max()) {
        cut_and_join(Codec::Av1, &frames, len_max);
    }

    #[test]
    fn opus_packets_survive(frames in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 1..1_156), 1..20)) {
        cut_and_join(Codec::Opus, &frames, 1_156);
    }

    #[test]
    fn vp8_with_loss(
        frames in proptest::collection::vec(vp8_frame(), 1..20),
        lost in proptest::collection::vec(proptest::bool::weighted(0.2), 1..100),
    ) {
        cut_and_join_with_loss(Codec::Vp8, &frames, 1_156, &lost);
    }

    #[test]
    fn av1_with_loss(
        frames in proptest::collection::vec(av1_unit(), 1..20),
        lost in proptest::collection::vec(proptest::bool::weighted(0.2), 1..100),
    ) {
        cut_and_join_with_loss(Codec::Av1, &frames, 1_156, &lost);
    }

    #[test]
    fn no_bytes_panic(
        payloads in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..60), any::<bool>(), any::<Option<bool>>()), 0..20),
    ) {
        for codec in [Codec::Opus, Codec::Vp8, Codec::Av1] {
            let mut depacketizer = Depacketizer::new(codec);
            for (index, (payload, marker, start)) in payloads.iter().enumerate() {
                let index = index as u64;
                let piece = Piece { index, timestamp: index / 3, marker: *marker, start: *start, payload };
                let _ = depacketizer.receive(piece);
            }
        }
    }
}

#[test]
fn an_opus_packet_larger_than_a_datagram_is_refused() {
    let frame = Frame { timestamp: 0, keyframe: true, data: vec![0; 1_200].into() };
    let cut = Packetizer::new(Codec::Opus).cut(&frame, 1_156);
    assert_eq!(cut, Err(PayloadError::TooLarge(1_200)));
}

#[test]
fn garbage_is_no_av1_frame() {
    let frame = Frame { timestamp: 0, keyframe: true, data: vec![0x0a, 0xff].into() };
    assert_eq!(Packetizer::new(Codec::Av1).cut(&frame, 1_156), Err(PayloadError::NotObus));
}
