//! The window against a set of everything seen, and the rules for jumps and reports.
#![allow(clippy::unwrap_used)] // A test that unwraps what is not there fails, as it should.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: Stamp = Stamp(1_000_000_000);

fn started_at(seq: u16) -> Ingress {
    let mut ingress = Ingress::default();
    assert!(ingress.accept(Seq(seq), NOW).is_ok());
    ingress
}

#[test]
fn a_gap_is_told_once_and_filled_by_a_late_packet() {
    let mut ingress = started_at(10);
    let accepted = ingress.accept(Seq(13), NOW);
    assert_eq!(accepted.map(|accepted| accepted.missing), Ok(11..13));
    assert!(ingress.is_missing(11) && ingress.is_missing(12) && !ingress.is_missing(13));
    let late = ingress.accept(Seq(12), NOW);
    assert_eq!(late.map(|late| (late.extended, late.missing.is_empty())), Ok((12, true)));
    assert!(!ingress.is_missing(12));
    assert_eq!(ingress.accept(Seq(12), NOW), Err(DropReason::Duplicate));
}

#[test]
fn what_a_layer_lost_in_front_of_its_first_packet_is_missing_too() {
    let mut ingress = Ingress::beginning_at(7);
    assert_eq!(ingress.accept(Seq(9), NOW).map(|accepted| accepted.missing), Ok(7..9));
    assert!(ingress.is_missing(7) && ingress.is_missing(8));
    assert!(ingress.accept(Seq(7), NOW).is_ok());
    assert_eq!(ingress.accept(Seq(10), NOW).map(|accepted| accepted.missing.is_empty()), Ok(true));
    for elsewhere in [3, 7 + 65, 40_000] {
        let mut ingress = Ingress::beginning_at(7);
        let accepted = ingress.accept(Seq(elsewhere), NOW).unwrap();
        assert!(accepted.missing.is_empty(), "the publisher starts at {elsewhere}");
    }
}

#[test]
fn a_packet_behind_the_window_is_too_old() {
    let mut ingress = started_at(5_000);
    assert_eq!(ingress.accept(Seq(5_000 - 1_024), NOW), Err(DropReason::TooOld));
    assert!(ingress.accept(Seq(5_000 - 1_023), NOW).is_ok());
}

#[test]
fn one_packet_far_ahead_moves_nothing_and_its_successor_does() {
    let mut ingress = started_at(100);
    assert_eq!(ingress.accept(Seq(20_000), NOW), Err(DropReason::TooOld));
    assert!(ingress.accept(Seq(101), NOW).is_ok());
    assert_eq!(ingress.accept(Seq(20_001), NOW), Err(DropReason::TooOld));
    assert_eq!(ingress.accept(Seq(20_002), NOW).map(|accepted| accepted.extended), Ok(20_002));
}

#[test]
fn replays_in_sequence_never_move_a_layer_that_is_heard() {
    let mut ingress = started_at(30_000);
    for seq in 5_000..5_100 {
        assert_eq!(ingress.accept(Seq(seq), NOW), Err(DropReason::TooOld));
    }
    assert!(ingress.accept(Seq(30_001), NOW).is_ok());
}

#[test]
fn replays_in_sequence_do_not_pass_for_an_outage_that_nobody_could_have_filled() {
    let mut ingress = started_at(30_000);
    let later = NOW.plus(Duration::from_millis(5_999));
    for seq in 5_000..5_100 {
        assert_eq!(ingress.accept(Seq(seq), later), Err(DropReason::TooOld));
    }
    let accepted = ingress.accept(Seq(30_001), later);
    assert_eq!(accepted.map(|accepted| accepted.extended), Ok(30_001));
}

#[test]
fn after_an_outage_of_40000_packets_counting_goes_on() {
    let mut ingress = started_at(30_000);
    let later = NOW.plus(Duration::from_secs(20));
    assert_eq!(ingress.accept(Seq(4_464), later), Err(DropReason::TooOld));
    let accepted = ingress.accept(Seq(4_465), later);
    assert_eq!(accepted.map(|accepted| accepted.extended), Ok(65_536 + 4_465));
}

#[test]
fn the_rollover_counter_survives_a_move_to_another_worker() {
    let mut ingress = Ingress::default();
    ingress.hear_of(3 << 16 | 0xc000);
    let accepted = ingress.accept(Seq(7), NOW);
    assert_eq!(accepted.map(|accepted| accepted.extended), Ok(4 << 16 | 7));
    ingress.hear_of(2 << 16);
    assert_eq!(ingress.accept(Seq(7), NOW), Err(DropReason::Duplicate));
}

#[test]
fn a_layer_that_comes_back_is_not_said_to_miss_what_others_heard() {
    let mut ingress = started_at(100);
    ingress.rest();
    assert!(ingress.accept(Seq(400), NOW).is_ok_and(|accepted| accepted.missing.is_empty()));
}

#[test]
fn a_report_tells_loss_since_the_last_one_and_in_all() {
    let mut ingress = started_at(0);
    for seq in (1..100).filter(|seq| seq % 4 != 0) {
        assert!(ingress.accept(Seq(seq), NOW).is_ok());
    }
    let first = ingress.report().unwrap();
    assert_eq!((first.fraction_lost, first.cumulative_lost, first.extended_seq), (61, 24, 99));
    assert_eq!(ingress.report(), None);
    assert!(ingress.accept(Seq(100), NOW).is_ok());
    let second = ingress.report().unwrap();
    assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 24));
}

#[test]
fn even_arrivals_have_no_jitter_and_uneven_ones_do() {
    let jitter = |late: u64| {
        let mut ingress = started_at(0);
        for packet in 1..200u16 {
            let swing = if packet % 2 == 0 { late } else { 0 };
            let now = Stamp(NOW.0 + u64::from(packet) * 20_000_000 + swing);
            assert!(ingress.accept(Seq(packet), now).is_ok());
            ingress.note_timing(u32::from(packet) * 960, 48_000, now);
        }
        ingress.report().unwrap().jitter
    };
    assert_eq!(jitter(0), 0);
    // 5 ms either way is 240 ticks of 48 kHz.
    assert!((230..=240).contains(&jitter(5_000_000)), "{}", jitter(5_000_000));
}

proptest! {
    #[test]
    fn agrees_with_a_set_of_everything_seen(
        start in 0u16..,
        steps in prop::collection::vec(-1_200i64..200, 1..400),
    ) {
        let mut ingress = started_at(start);
        let mut highest = u64::from(start);
        let mut seen = BTreeSet::from([highest]);
        for step in steps {
            let Some(extended) = highest.checked_add_signed(step) else { continue };
            let outcome = ingress.accept(low(extended), NOW);
            if step <= -1_024 {
                prop_assert_eq!(outcome, Err(DropReason::TooOld));
            } else if seen.contains(&extended) {
                prop_assert_eq!(outcome, Err(DropReason::Duplicate));
            } else {
                let accepted = outcome.unwrap();
                prop_assert_eq!(accepted.extended, extended);
                let gap = if extended > highest { highest + 1..extended } else { extended..extended };
                prop_assert_eq!(accepted.missing, gap);
                seen.insert(extended);
                highest = highest.max(extended);
            }
            for number in highest.saturating_sub(1_023)..=highest {
                prop_assert_eq!(ingress.is_missing(number), !seen.contains(&number));
            }
        }
    }
}
