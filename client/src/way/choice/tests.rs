//! Decisions, as tables.

use super::*;
use proptest::prelude::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn ping(round_trip_ms: u64) -> Ping {
    Ping { round_trip: ms(round_trip_ms), room: true }
}

const fn measured(zone: usize, round_trip_ms: u64, transfer_ms: u64) -> Candidate {
    let state = State::Measured(ping(round_trip_ms), Some(ms(transfer_ms)));
    Candidate { zone, state }
}

const fn of(zone: usize, state: State) -> Candidate {
    Candidate { zone, state }
}

#[test]
fn the_least_of_round_trip_and_transfer_wins() {
    let near_and_slow = measured(0, 5, 400);
    let far_and_fast = measured(1, 80, 20);
    assert_eq!(decide(&[near_and_slow, far_and_fast], ms(500)), Decision::Take(1));
    let near = measured(0, 5, 20);
    assert_eq!(decide(&[far_and_fast, near], ms(500)), Decision::Take(0));
}

#[test]
fn zones_as_good_as_the_best_are_taken_in_the_order_they_were_told() {
    assert_eq!(decide(&[measured(0, 24, 6), measured(1, 20, 6)], ms(300)), Decision::Take(0));
    assert_eq!(decide(&[measured(0, 40, 6), measured(1, 20, 6)], ms(300)), Decision::Take(1));
}

#[test]
fn nobody_waits_for_who_can_no_longer_be_better() {
    let (best, silent) = (measured(0, 10, 10), of(1, State::Asked));
    let known_at = ms(20) * PROBE_ROUNDS;
    assert_eq!(decide(&[best, silent], ms(100)), Decision::Wait(known_at));
    assert_eq!(decide(&[best, silent], known_at), Decision::Take(0));
    // It answered, later than the best was measured in all.
    assert_eq!(decide(&[best, of(1, State::Answered(ping(30)))], ms(100)), Decision::Take(0));
    assert_eq!(decide(&[best, of(1, State::Answered(ping(5)))], ms(100)), Decision::Wait(known_at));
    // Another controller of the same zone does not change which zone it is.
    assert_eq!(
        decide(&[best, of(0, State::Asked), of(1, State::Failed)], ms(1)),
        Decision::Take(0)
    );
}

#[test]
fn the_only_zone_there_is_is_not_measured() {
    assert_eq!(
        decide(&[of(3, State::Asked), of(3, State::Failed)], ms(1)),
        Decision::Wait(CONTROLLERS_DEADLINE)
    );
    assert_eq!(
        decide(&[of(3, State::Asked), of(3, State::Answered(ping(900)))], ms(1)),
        Decision::Take(3)
    );
}

#[test]
fn a_zone_whose_controllers_do_not_answer_is_not_chosen() {
    let dead = [of(0, State::Failed), of(0, State::Asked)];
    let alive = of(1, State::Answered(ping(200)));
    assert_eq!(decide(&[dead[0], dead[1], alive], MEASURE_DEADLINE), Decision::Take(1));
    assert_eq!(decide(&[dead[0], alive], ms(1)), Decision::Take(1));
}

#[test]
fn when_nobody_answers_it_is_known_at_once_or_in_the_end() {
    assert_eq!(decide(&[], ms(0)), Decision::Nobody);
    assert_eq!(decide(&[of(0, State::Failed), of(1, State::Failed)], ms(1)), Decision::Nobody);
    let silent = [of(0, State::Asked), of(1, State::Failed)];
    assert_eq!(decide(&silent, ms(5_499)), Decision::Wait(CONTROLLERS_DEADLINE));
    assert_eq!(decide(&silent, CONTROLLERS_DEADLINE), Decision::Nobody);
    // Who answers late is taken as soon as it does.
    let late = [of(0, State::Answered(ping(4_000))), of(1, State::Asked)];
    assert_eq!(decide(&late, ms(4_000)), Decision::Take(0));
}

#[test]
fn a_full_zone_is_taken_only_when_there_is_no_other() {
    let full = State::Measured(Ping { round_trip: ms(1), room: false }, Some(ms(1)));
    assert_eq!(decide(&[of(0, full), measured(1, 200, 900)], ms(2_000)), Decision::Take(1));
    assert_eq!(decide(&[of(0, full), of(1, State::Failed)], ms(10)), Decision::Take(0));
}

fn any_state() -> impl Strategy<Value = State> {
    let ping = (0_u64..4_000, any::<bool>())
        .prop_map(|(millis, room)| Ping { round_trip: ms(millis), room });
    prop_oneof![
        Just(State::Asked),
        Just(State::Failed),
        ping.clone().prop_map(State::Answered),
        (ping, proptest::option::of((0_u64..4_000).prop_map(ms)))
            .prop_map(|(ping, transfer)| State::Measured(ping, transfer)),
    ]
}

proptest! {
    #[test]
    fn waits_are_in_the_future_and_only_who_answered_is_taken(
        states in proptest::collection::vec((0_usize..4, any_state()), 0..12),
        elapsed in 0_u64..8_000,
    ) {
        let candidates: Vec<_> = states.into_iter().map(|(zone, state)| of(zone, state)).collect();
        let answered = |zone: usize| {
            let of_zone = candidates.iter().filter(|one| one.zone == zone);
            of_zone.clone().any(|one| !matches!(one.state, State::Asked | State::Failed))
        };
        match decide(&candidates, ms(elapsed)) {
            Decision::Take(zone) => prop_assert!(answered(zone)),
            Decision::Wait(until) => prop_assert!(until > ms(elapsed), "{until:?}"),
            Decision::Nobody => prop_assert!(!(0..4).any(answered)),
        }
    }
}
