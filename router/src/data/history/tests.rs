//! The rings against a list of everything kept.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn layer(index: u32) -> LayerId {
    LayerId { index, generation: 1 }
}

#[test]
fn gives_back_the_same_bytes() {
    let mut history = History::new(8);
    history.keep(layer(1), Seq(65_535), b"first", Stamp(0));
    history.keep(layer(1), Seq(0), b"second", Stamp(0));
    assert_eq!(history.find(layer(1), Seq(65_535), Stamp(0)), Some(&b"first"[..]));
    assert_eq!(history.find(layer(1), Seq(0), Stamp(0)), Some(&b"second"[..]));
    assert_eq!(history.find(layer(1), Seq(1), Stamp(0)), None);
}

#[test]
fn forgets_after_a_second() {
    let mut history = History::new(8);
    history.keep(layer(1), Seq(1), b"packet", Stamp(0));
    let second = Stamp(0).plus(Duration::from_secs(1));
    assert!(history.find(layer(1), Seq(1), second).is_some());
    assert!(history.find(layer(1), Seq(1), Stamp(second.0 + 1)).is_none());
}

#[test]
fn a_layer_that_got_a_former_ones_index_finds_nothing_of_it() {
    let mut history = History::new(8);
    history.keep(layer(1), Seq(1), b"secret", Stamp(0));
    let next = LayerId { index: 1, generation: 2 };
    assert_eq!(history.find(next, Seq(1), Stamp(0)), None);
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_everything_kept(
        packets in prop::collection::vec((0u32..4, 0u16..40, 12usize..1_500), 1..200),
    ) {
        let mut history = History::new(16);
        let mut kept: Vec<(LayerId, Seq, Vec<u8>)> = Vec::new();
        for (number, (index, seq, len)) in packets.into_iter().enumerate() {
            let bytes = vec![number.to_le_bytes()[0]; len];
            history.keep(layer(index), Seq(seq), &bytes, Stamp(0));
            kept.push((layer(index), Seq(seq), bytes));
            for index in 0..4 {
                for seq in 0..40 {
                    let newest = kept
                        .iter()
                        .rev()
                        .find(|(of, at, _)| (*of, *at) == (layer(index), Seq(seq)));
                    let found = history.find(layer(index), Seq(seq), Stamp(0));
                    prop_assert!(found.is_none_or(|bytes| newest.is_some_and(|(.., kept)| kept == bytes)));
                }
            }
            // As many as fit are there: 13 of the largest, 16 of any.
            for (of, at, bytes) in kept.iter().rev().take(10) {
                let shadowed = kept.iter().rev().find(|(o, a, _)| (o, a) == (of, at));
                let bytes = shadowed.map_or(bytes, |(.., newest)| newest);
                prop_assert_eq!(history.find(*of, *at, Stamp(0)), Some(&bytes[..]));
            }
        }
    }
}
