//! Streams cut at every place; frames that are empty or too long.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use proptest::prelude::*;

/// Feeds the pieces and answers the packets, with the error that ended it.
fn receive<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Vec<u8>>, Result<(), Oversized>) {
    let mut deframer = Deframer::default();
    let mut packets = Vec::new();
    for piece in pieces {
        if let Err(error) = deframer.receive(piece, |packet| packets.push(packet.to_vec())) {
            return (packets, Err(error));
        }
        assert!(deframer.held() < PACKET_LEN_MAX + 2);
    }
    (packets, Ok(()))
}

#[test]
fn frames_as_rfc4571_says() {
    let mut out = vec![9];
    frame(&[1, 2, 3], &mut out);
    assert_eq!(out, [9, 0, 3, 1, 2, 3]);
}

#[test]
fn hands_out_what_is_complete_and_holds_the_rest() {
    let mut deframer = Deframer::default();
    let mut packets = Vec::new();
    let mut each = |packet: &[u8]| packets.push(packet.to_vec());
    deframer.receive(&[0, 1, 7, 0, 2, 8, 8, 0, 3, 9], &mut each).unwrap();
    assert_eq!(deframer.held(), 3);
    deframer.receive(&[9, 9, 0], &mut each).unwrap();
    assert_eq!(deframer.held(), 1);
    assert_eq!(packets, [vec![7], vec![8, 8], vec![9, 9, 9]]);
}

#[test]
fn passes_over_empty_frames() {
    let bytes = [0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 1, 6];
    assert_eq!(receive([&bytes[..]]).0, [[5], [6]]);
    assert_eq!(receive(bytes.chunks(1)).0, [[5], [6]]);
}

#[test]
fn gives_up_on_a_frame_too_long_but_not_on_those_before() {
    let mut stream = vec![0, 1, 5];
    frame(&[0; PACKET_LEN_MAX], &mut stream);
    stream.extend_from_slice(&[0x05, 0xdd, 0, 0]);
    for size in [1, 2, 3, stream.len()] {
        let (packets, end) = receive(stream.chunks(size));
        assert_eq!(packets.len(), 2, "in pieces of {size}");
        assert_eq!(end, Err(Oversized(1501)), "in pieces of {size}");
    }
}

proptest! {
    #[test]
    fn every_cut_gives_the_same_packets(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..20),
        cuts in prop::collection::vec(1_usize..40, 1..100),
    ) {
        let mut stream = Vec::new();
        packets.iter().for_each(|packet| frame(packet, &mut stream));
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(receive(pieces), (packets, Ok(())));
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let _ = receive(pieces.iter().map(|piece| &piece[..]));
    }
}
