//! Headers by hand, the examples of RFC 8285, extensions, and any bytes at all.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use proptest::prelude::*;

const FIXED: [u8; 12] = [0x90, 0xe0, 0x12, 0x34, 0, 0, 0, 7, 0xde, 0xad, 0xbe, 0xef];

fn with_extension(extension: &[u8]) -> Vec<u8> {
    [&FIXED[..], extension, &[1, 2, 3]].concat()
}

#[test]
fn reads_the_fixed_header() {
    let bytes = [&[0x80][..], &FIXED[1..], &[9, 9]].concat();
    let packet = Packet::parse(&bytes).unwrap();
    assert!(packet.marker());
    assert_eq!(packet.payload_type(), 96);
    assert_eq!(packet.seq(), Seq(0x1234));
    assert_eq!(packet.timestamp(), 7);
    assert_eq!(packet.ssrc(), Ssrc(0xdead_beef));
    assert_eq!(packet.header_len(), 12);
    assert_eq!(packet.payload(), Ok(&[9, 9][..]));
    assert_eq!(packet.extension(1), None);
}

#[test]
fn passes_over_contributing_sources() {
    let mut bytes = [&FIXED[..], &[0; 60], &[5]].concat();
    bytes[0] = 0x8f;
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.header_len(), 72);
    assert_eq!(packet.payload(), Ok(&[5][..]));
    assert!(Packet::parse(&bytes[..71]).is_err());
}

#[test]
fn reads_the_one_byte_example_of_rfc8285() {
    // RFC 8285 §4.2: three elements of 1, 2 and 4 bytes with padding within and behind.
    let extension =
        [0xbe, 0xde, 0, 3, 0x10, 0xaa, 0x21, 0xbb, 0xbb, 0, 0, 0x33, 0xcc, 0xcc, 0xcc, 0xcc];
    let bytes = with_extension(&extension);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.extension(1), Some(&[0xaa][..]));
    assert_eq!(packet.extension(2), Some(&[0xbb; 2][..]));
    assert_eq!(packet.extension(3), Some(&[0xcc; 4][..]));
    assert_eq!(packet.extension(4), None);
    assert_eq!(packet.header_len(), 28);
    assert_eq!(packet.payload(), Ok(&[1, 2, 3][..]));
}

#[test]
fn passes_over_the_two_byte_form() {
    // RFC 8285 §4.3, the same elements: legal, and nothing this system reads.
    let extension =
        [0x10, 0, 0, 3, 0x01, 0, 0x02, 0x01, 0xbb, 0, 0x03, 0x04, 0xcc, 0xcc, 0xcc, 0xcc];
    let bytes = with_extension(&extension);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.extension(2), None);
    assert_eq!(packet.payload(), Ok(&[1, 2, 3][..]));
}

#[test]
fn stops_at_id_15_and_at_elements_that_overrun() {
    let stopped = with_extension(&[0xbe, 0xde, 0, 2, 0xf0, 0, 0x10, 0xaa, 0, 0, 0, 0]);
    assert_eq!(Packet::parse(&stopped).unwrap().extension(1), None);
    let overrun = with_extension(&[0xbe, 0xde, 0, 1, 0x10, 0xaa, 0x2f, 0xbb]);
    let packet = Packet::parse(&overrun).unwrap();
    assert_eq!(packet.extension(1), Some(&[0xaa][..]));
    assert_eq!(packet.extension(2), None);
}

#[test]
fn reads_audio_levels_as_rfc6464_has_them() {
    let level = |data: &[u8]| {
        let bytes = with_extension(&[&[0xbe, 0xde, 0, 1][..], data].concat());
        Packet::parse(&bytes).unwrap().audio_level()
    };
    assert_eq!(level(&[0x10, 0x80 | 30, 0, 0]), Some(AudioLevel { voice: true, level: 30 }));
    assert_eq!(level(&[0x10, 127, 0, 0]), Some(AudioLevel { voice: false, level: 127 }));
    assert_eq!(level(&[0x11, 127, 0, 0]), None, "RFC 6464 §3 gives it one byte");
    assert_eq!(level(&[0x20, 127, 0, 0]), None, "another id");
}

#[test]
fn reads_frame_markings_as_rfc9626_has_them() {
    let marking = |data: &[u8]| {
        let bytes = with_extension(&[&[0xbe, 0xde, 0, 1][..], data].concat());
        Packet::parse(&bytes).unwrap().frame_marking()
    };
    let keyframe_start =
        FrameMarking { start: true, end: false, independent: true, discardable: false };
    let end = FrameMarking { start: false, end: true, independent: false, discardable: true };
    assert_eq!(marking(&[0x20, 0xa0, 0, 0]), Some(keyframe_start), "short form");
    assert_eq!(marking(&[0x20, 0x50, 0, 0]), Some(end), "short form");
    assert_eq!(marking(&[0x22, 0xa9, 1, 2]), Some(keyframe_start), "long form");
    assert_eq!(marking(&[0x21, 0xa9, 1, 0]), Some(keyframe_start), "without TL0PICIDX");
}

#[test]
fn reads_capture_times_of_both_lengths() {
    let mut bytes = with_extension(&[0xbe, 0xde, 0, 3, 0x37, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0]);
    assert_eq!(Packet::parse(&bytes).unwrap().capture_time(), Some(0x0102_0304_0506_0708));
    bytes[16] = 0x36;
    assert_eq!(Packet::parse(&bytes).unwrap().capture_time(), None);
    let long = [&[0xbe, 0xde, 0, 5, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8][..], &[0; 11]].concat();
    let bytes = with_extension(&long);
    assert_eq!(Packet::parse(&bytes).unwrap().capture_time(), Some(0x0102_0304_0506_0708));
}

#[test]
fn takes_padding_off() {
    let padded = |padding: &[u8]| {
        let mut bytes = [&FIXED[..], padding].concat();
        bytes[0] = 0xa0;
        Packet::parse(&bytes).unwrap().payload().map(<[u8]>::to_vec)
    };
    assert_eq!(padded(&[7, 7, 0, 2]), Ok(vec![7, 7]));
    assert_eq!(padded(&[0, 0, 3]), Ok(vec![]));
    assert_eq!(padded(&[1, 1, 0]), Err(Malformed), "padding counts itself");
    assert_eq!(padded(&[1, 1, 4]), Err(Malformed), "more padding than packet");
    assert_eq!(padded(&[]), Err(Malformed));
}

#[test]
fn refuses_what_is_cut_or_of_another_version() {
    let bytes = with_extension(&[0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0]);
    for len in 0..20 {
        assert!(Packet::parse(&bytes[..len]).is_err(), "{len} bytes");
    }
    for version in [0x00, 0x40, 0xc0] {
        let mut bytes = bytes.clone();
        bytes[0] = bytes[0] & 0x3f | version;
        assert!(Packet::parse(&bytes).is_err(), "first byte {:#x}", bytes[0]);
    }
}

fn headers() -> impl Strategy<Value = Header> {
    let level = (any::<bool>(), 0_u8..128).prop_map(|(voice, level)| AudioLevel { voice, level });
    let marking = any::<(bool, bool, bool, bool)>().prop_map(|(s, e, i, d)| FrameMarking {
        start: s,
        end: e,
        independent: i,
        discardable: d,
    });
    (
        any::<(bool, u16, u32, u32)>(),
        0_u8..128,
        prop::option::of(level),
        prop::option::of(marking),
        any::<Option<u64>>(),
    )
        .prop_map(|((marker, seq, timestamp, ssrc), payload_type, level, marking, time)| {
            Header {
                marker,
                payload_type,
                seq,
                timestamp,
                ssrc,
                audio_level: level,
                frame_marking: marking,
                capture_time: time,
            }
        })
}

proptest! {
    #[test]
    fn what_was_written_is_read(header in headers(), payload: Vec<u8>) {
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        let header_len = bytes.len();
        bytes.extend_from_slice(&payload);
        let packet = Packet::parse(&bytes).unwrap();
        let read = Header {
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            seq: packet.seq().0,
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc().0,
            audio_level: packet.audio_level(),
            frame_marking: packet.frame_marking(),
            capture_time: packet.capture_time(),
        };
        prop_assert_eq!(read, header);
        prop_assert_eq!(packet.header_len(), header_len);
        prop_assert_eq!(packet.payload(), Ok(&payload[..]));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes: Vec<u8>, rtp: bool) {
        if let (true, Some(first)) = (rtp, bytes.first_mut()) {
            *first = *first & 0x3f | 0x80;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            let _ = (packet.payload(), packet.marker(), packet.payload_type(), packet.seq());
            let _ = (packet.timestamp(), packet.ssrc());
            let _ = (packet.audio_level(), packet.frame_marking(), packet.capture_time());
            prop_assert!((0..16).all(|id| packet.extension(id).is_none_or(|e| e.len() <= 16)));
        }
    }

    #[test]
    fn no_extension_makes_it_panic(
        elements in prop::collection::vec(any::<u8>(), 0..64), words in 0_u8..20,
    ) {
        let bytes = [&FIXED[..], &[0xbe, 0xde, 0, words], &elements].concat();
        if let Ok(packet) = Packet::parse(&bytes) {
            let _ = (packet.audio_level(), packet.frame_marking(), packet.capture_time());
        }
    }
}
