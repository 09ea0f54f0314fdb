//! Where meetings go, as sentences.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use wire::load::State;

fn id(name: &str) -> MmrId {
    name.to_owned().try_into().unwrap()
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn load(sequence: u64, stress: f64) -> Load {
    Load {
        order: (1, sequence),
        state: State::Serving,
        stress,
        stress_per_participant: 0.01,
        has_address: true,
        links: [0, 0],
        participants: 0,
    }
}

/// A zone whose MMRs have just reported these stresses, at 10 s; started at 0.
fn zone(rules: Rules, stresses: &[f64]) -> Placement {
    let mut zone = Placement::new(rules, 1, Duration::ZERO);
    for (at, stress) in stresses.iter().enumerate() {
        assert_eq!(zone.report(&id(&at.to_string()), load(1, *stress), s(10.0)), Heard::Taken);
    }
    zone
}

fn why(placed: Result<Choice, Refused>) -> Why {
    placed.unwrap_err().why
}

fn new_meeting(zone: &mut Placement, now: f64) -> Result<Choice, Refused> {
    zone.place("new", None, s(now))
}

#[test]
fn a_meeting_stays_on_its_mmr_while_that_has_room() {
    let mut zone = zone(Rules::default(), &[0.9, 0.1]);
    let choice = zone.place("m", Some(&id("0")), s(10.0)).unwrap();
    assert_eq!(choice, Choice { mmr: id("0"), stays: true });
}

#[test]
fn a_meeting_whose_mmr_is_full_is_told_so_and_not_spread() {
    let mut zone = zone(Rules::default(), &[0.995, 0.1]);
    let refused = zone.place("m", Some(&id("0")), s(10.0)).unwrap_err();
    assert_eq!(refused.why, Why::MeetingFull);
    assert!(refused.retry_after >= s(5.0) && refused.retry_after <= s(10.0));
}

#[test]
fn a_new_meeting_goes_to_the_less_stressed_of_two() {
    for _ in 0..20 {
        let mut zone = zone(Rules::default(), &[0.5, 0.2]);
        let choice = new_meeting(&mut zone, 10.0).unwrap();
        assert_eq!(choice, Choice { mmr: id("1"), stays: false });
    }
}

#[test]
fn new_meetings_leave_room_for_those_that_are_there() {
    let mut zone = zone(Rules::default(), &[0.85, 0.85]);
    assert_eq!(why(new_meeting(&mut zone, 10.0)), Why::ZoneFull);
    assert!(!zone.has_room(s(10.0)));
    assert!(zone.place("m", Some(&id("0")), s(10.0)).is_ok());
}

#[test]
fn a_meeting_that_must_move_may_use_the_room_kept_for_those_that_are_there() {
    let mut zone = zone(Rules::default(), &[0.1, 0.85]);
    zone.set_drains([id("0")].into());
    assert_eq!(zone.place("m", Some(&id("0")), s(10.0)).unwrap().mmr, id("1"));
    assert_eq!(why(new_meeting(&mut zone, 10.0)), Why::ZoneFull);
}

#[test]
fn what_was_placed_counts_until_a_report_can_show_it() {
    let mut zone = zone(Rules::default(), &[0.2, 0.5]);
    // 0.01 each: after 30 the first is as full as the second.
    let mut placed = [0; 2];
    for meeting in 0..60 {
        let choice = zone.place(&meeting.to_string(), None, s(10.0)).unwrap();
        placed[choice.mmr.as_str().parse::<usize>().unwrap()] += 1;
    }
    assert!(placed[0] >= 44 && placed[1] >= 14, "{placed:?}");
    let corrected =
        |zone: &Placement| zone.mmrs(s(10.0)).map(|mmr| mmr.stress_corrected).collect::<Vec<_>>();
    assert!((corrected(&zone)[0] - corrected(&zone)[1]).abs() < 0.02, "{:?}", corrected(&zone));
    // They join, and reports come to show them, smoothed over two seconds.
    let truth = 0.2 + 0.01 * f64::from(placed[0]);
    for sequence in 2..15 {
        let later = sequence as f64 - 1.0;
        let shown = 1.0 - (-(later - 0.5) / 2.0).exp();
        let reported = 0.2 + (truth - 0.2) * shown;
        zone.report(&id("0"), load(sequence, reported), s(10.0 + later));
        let corrected = corrected(&zone)[0];
        assert!((corrected - truth).abs() < 0.01, "{later} s: {corrected}, not {truth}");
    }
}

#[test]
fn a_place_that_came_to_nothing_does_not_count() {
    let mut zone = zone(Rules::default(), &[0.2]);
    let choice = new_meeting(&mut zone, 10.0).unwrap();
    zone.give_back(&choice.mmr);
    let mmr = zone.mmrs(s(10.0)).next().unwrap();
    assert!((mmr.stress_corrected - 0.2).abs() < 1e-9);
    zone.give_back(&choice.mmr);
    zone.give_back(&id("unknown"));
}

#[test]
fn nothing_is_placed_on_an_mmr_that_is_not_fit() {
    let stalled = |state| Load { state, ..load(2, 0.1) };
    for (report, unfit) in [
        (stalled(State::Starting), Unfit::Starting),
        (stalled(State::Draining), Unfit::Draining),
        (stalled(State::Stopping), Unfit::Stopping),
        (stalled(State::Stalled), Unfit::Stalled),
        (Load { has_address: false, ..load(2, 0.1) }, Unfit::NoAddress),
    ] {
        let mut zone = zone(Rules::default(), &[0.1]);
        zone.report(&id("0"), report, s(11.0));
        assert_eq!(why(new_meeting(&mut zone, 11.0)), Why::NoMmr, "{unfit:?}");
        assert_eq!(zone.mmrs(s(11.0)).next().unwrap().unfit, Some(unfit));
        let waits = matches!(unfit, Unfit::Starting | Unfit::NoAddress);
        let expected = if waits { Why::NotHeardYet } else { Why::NoMmr };
        assert_eq!(why(zone.place("m", Some(&id("0")), s(11.0))), expected, "{unfit:?}");
    }
}

#[test]
fn an_agent_that_starts_again_does_not_cost_its_mmr_the_meetings() {
    let mut zone = zone(Rules::default(), &[0.1, 0.1]);
    for (sequence, now) in [(2, 11.0), (3, 12.0), (4, 13.0), (5, 14.0)] {
        zone.report(&id("0"), Load { state: State::Starting, ..load(sequence, 0.1) }, s(now));
        zone.report(&id("1"), load(sequence, 0.1), s(now));
        assert_eq!(why(zone.place("m", Some(&id("0")), s(now))), Why::NotHeardYet);
    }
    zone.report(&id("0"), Load { state: State::Starting, ..load(6, 0.1) }, s(14.5));
    assert_eq!(zone.place("m", Some(&id("0")), s(14.5)).unwrap().mmr, id("1"));
    zone.report(&id("0"), load(7, 0.1), s(15.0));
    assert!(zone.place("m", Some(&id("0")), s(15.0)).unwrap().stays);
}

#[test]
fn a_silent_mmr_is_left_after_three_seconds() {
    let mut zone = zone(Rules::default(), &[0.1, 0.3]);
    zone.report(&id("1"), load(2, 0.3), s(13.0));
    assert!(zone.place("m", Some(&id("0")), s(13.0)).unwrap().stays);
    let moved = zone.place("m", Some(&id("0")), s(13.1)).unwrap();
    assert_eq!(moved, Choice { mmr: id("1"), stays: false });
    for _ in 0..20 {
        assert_eq!(new_meeting(&mut zone, 13.1).unwrap().mmr, id("1"));
    }
}

#[test]
fn a_meeting_moves_off_an_mmr_that_is_drained_and_may_come_back_after() {
    let mut zone = zone(Rules::default(), &[0.1, 0.5]);
    zone.set_drains([id("0")].into());
    assert_eq!(zone.place("m", Some(&id("0")), s(10.0)).unwrap().mmr, id("1"));
    zone.set_drains([id("0"), id("1")].into());
    assert_eq!(why(zone.place("m", Some(&id("0")), s(10.0))), Why::NoMmr);
    zone.set_drains(BTreeSet::new());
    assert!(zone.place("m", Some(&id("0")), s(10.0)).unwrap().stays);
}

#[test]
fn an_mmr_is_not_lost_while_another_controller_hears_it() {
    let mut zone = zone(Rules::default(), &[0.1]);
    let others = |hear: &[&str]| Others {
        asked: [id("0"), id("9")].into(),
        hear: hear.iter().map(|name| id(name)).collect(),
    };
    zone.set_others(Some(others(&["0", "9"])));
    zone.report(&id("1"), load(1, 0.1), s(14.5));
    assert_eq!(zone.wonders(s(12.5)), [id("0")].into());
    assert!(zone.place("m", Some(&id("0")), s(14.5)).unwrap().stays);
    assert_eq!(why(zone.place("m", Some(&id("9")), s(14.5))), Why::NotHeardYet);
    // Nobody hears it any more, but it takes a second until everybody has said so.
    zone.set_others(Some(others(&[])));
    assert_eq!(why(zone.place("m", Some(&id("0")), s(13.9))), Why::NotHeardYet);
    assert!(!zone.place("m", Some(&id("0")), s(14.5)).unwrap().stays);
    assert_eq!(why(zone.place("m", Some(&id("9")), s(14.5))), Why::NotHeardYet);
    assert_eq!(zone.wonders(s(14.5)), [id("0"), id("9")].into());
    assert!(!zone.place("m", Some(&id("9")), s(15.6)).unwrap().stays);
    // One that nobody was asked about is not given up.
    assert_eq!(why(zone.place("m", Some(&id("8")), s(15.6))), Why::NotHeardYet);
}

#[test]
fn a_controller_that_has_just_started_moves_nothing() {
    let mut zone = Placement::new(Rules::default(), 1, s(10.0));
    zone.report(&id("1"), load(1, 0.1), s(10.5));
    assert_eq!(why(zone.place("m", Some(&id("0")), s(11.0))), Why::NotHeardYet);
    assert_eq!(zone.place("m", Some(&id("0")), s(13.1)).unwrap().mmr, id("1"));
}

#[test]
fn new_meetings_avoid_an_mmr_whose_links_stay_unbound_and_old_ones_stay() {
    let mut zone = zone(Rules::default(), &[0.1, 0.7]);
    for sequence in 2..5 {
        let unreachable = Load { links: [10, 30], ..load(sequence, 0.1) };
        zone.report(&id("0"), unreachable, s(10.0));
        let avoided = new_meeting(&mut zone, 10.0).unwrap().mmr == id("1");
        assert_eq!(avoided, sequence == 4, "after report {sequence}");
    }
    assert!(zone.place("m", Some(&id("0")), s(10.0)).unwrap().stays);
    zone.report(&id("0"), Load { links: [30, 10], ..load(5, 0.1) }, s(10.0));
    assert_eq!(new_meeting(&mut zone, 10.0).unwrap().mmr, id("0"));
}

#[test]
fn a_burst_into_one_meeting_or_mmr_is_paced() {
    let rules = Rules {
        meeting_pace: Pace { per_s: 10, burst: 5 },
        mmr_pace: Pace { per_s: 10, burst: 8 },
        ..Rules::default()
    };
    let mut zone = zone(rules, &[0.1]);
    let taken = (0..20).filter(|_| zone.place("m", Some(&id("0")), s(10.0)).is_ok()).count();
    assert_eq!(taken, 5);
    let refused = zone.place("m", Some(&id("0")), s(10.0)).unwrap_err();
    assert_eq!(refused.why, Why::MeetingTooFast);
    assert!(refused.retry_after >= s(0.5) && refused.retry_after <= s(1.0));
    let others = (0..20).filter(|n| zone.place(&n.to_string(), None, s(10.0)).is_ok()).count();
    assert_eq!(others, 3, "the MMR takes eight at once");
    assert_eq!(why(new_meeting(&mut zone, 10.0)), Why::MmrTooFast);
}

#[test]
fn reports_out_of_order_change_nothing_and_a_clock_set_back_is_outlived() {
    let mut zone = zone(Rules::default(), &[0.1]);
    assert_eq!(zone.report(&id("0"), load(1, 0.9), s(10.1)), Heard::Old);
    assert_eq!(zone.report(&id("0"), load(2, 0.2), s(10.2)), Heard::Taken);
    let new_epoch = Load { order: (2, 1), ..load(1, 0.3) };
    assert_eq!(zone.report(&id("0"), new_epoch, s(10.3)), Heard::Taken);
    assert_eq!(zone.report(&id("0"), load(3, 0.4), s(10.4)), Heard::Old);
    assert_eq!(zone.report(&id("0"), load(4, 0.4), s(13.5)), Heard::Taken);
}

#[test]
fn mmrs_are_bounded_and_forgotten_when_silent_for_long() {
    let mut zone = Placement::new(Rules::default(), 1, Duration::ZERO);
    for at in 0..MMRS_MAX {
        assert_eq!(zone.report(&id(&at.to_string()), load(1, 0.1), s(1.0)), Heard::Taken);
    }
    assert_eq!(zone.report(&id("more"), load(1, 0.1), s(2.0)), Heard::TooMany);
    assert_eq!(zone.report(&id("7"), load(2, 0.1), s(500.0)), Heard::Taken);
    assert_eq!(zone.report(&id("more"), load(1, 0.1), s(602.0)), Heard::Taken);
    assert_eq!(zone.mmrs(s(602.0)).count(), 2);
    assert!(zone.hears(&id("more"), s(602.0)) && !zone.hears(&id("8"), s(602.0)));
}

#[test]
fn with_few_fit_mmrs_one_of_them_is_found() {
    for strategy in Strategy::ALL {
        let mut zone = zone(Rules { strategy, ..Rules::default() }, &[0.9; 500]);
        zone.report(&id("321"), load(2, 0.3), s(10.0));
        assert_eq!(new_meeting(&mut zone, 10.0).unwrap().mmr, id("321"), "{strategy:?}");
    }
}

#[test]
fn the_same_seed_decides_the_same() {
    let run = || {
        let mut zone = zone(Rules::default(), &[0.1; 50]);
        (0..500).map(|n| zone.place(&n.to_string(), None, s(10.0)).unwrap().mmr).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
