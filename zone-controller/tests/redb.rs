//! The store in a file: compared with a naive one, and what it keeps and forgets.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

use proptest::prelude::*;
use std::collections::HashMap;
use wire::MmrId;
use zone_controller::store::redb::RedbStore;
use zone_controller::store::{Change, Outcome, Place, Store, UsedToken, Wanted};

const KEPT_S: u64 = 1_000;

fn mmr(number: u8) -> MmrId {
    MmrId::try_from(format!("mmr-{number}")).unwrap()
}

fn place(number: u8, epoch: u64) -> Place {
    Place { mmr: mmr(number), epoch, renewed_s: 0 }
}

fn token<'a>(jti: &'a str, attempt: &'a str) -> Option<UsedToken<'a>> {
    Some(UsedToken { jti, until_s: 100, attempt })
}

/// What the store must be like, without files, digests or time.
#[derive(Default)]
struct Oracle {
    places: HashMap<String, Place>,
    tokens: HashMap<String, String>,
}

impl Oracle {
    fn commit(&mut self, change: &Change<'_>) -> Outcome {
        let used = change.token.and_then(|token| Some((token, self.tokens.get(token.jti)?)));
        if used.is_some_and(|(token, by)| by != token.attempt) {
            return Outcome::TokenUsed;
        }
        let found = self.places.get(change.meeting);
        if found != change.from {
            return Outcome::Moved(found.cloned());
        }
        if let Some(token) = change.token {
            self.tokens.insert(token.jti.into(), token.attempt.into());
        }
        self.places.insert(change.meeting.into(), change.to.clone());
        Outcome::Done
    }
}

type Step = (u8, u8, u8, u8, bool);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn does_what_a_naive_store_does(steps in prop::collection::vec(any::<Step>(), 1..60)) {
        let store = RedbStore::in_memory(KEPT_S).unwrap();
        let mut oracle = Oracle::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for (meeting, jti, attempt, to, guesses_right) in steps {
                let (meeting, jti) = (format!("m{}", meeting % 3), format!("t{}", jti % 5));
                let attempt = format!("a{}", attempt % 2);
                let found = store.place_of(&meeting).await.unwrap();
                prop_assert_eq!(found.as_ref(), oracle.places.get(&meeting));
                let wrong = place(to % 2, 99);
                let from = if guesses_right { found.as_ref() } else { Some(&wrong) };
                let to = place(to % 4, found.as_ref().map_or(1, |place| place.epoch + 1));
                let token = if attempt == "a0" && to.epoch.is_multiple_of(2) { None } else { token(&jti, &attempt) };
                let change = Change { token, meeting: &meeting, from, to: &to, now_s: 50 };
                prop_assert_eq!(store.commit(&change).await.unwrap(), oracle.commit(&change));
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_burst_that_waits_together_is_decided_one_by_one() {
    let store = RedbStore::in_memory(KEPT_S).unwrap();
    let places: Vec<_> = (0..100).map(|number| place(number, 1)).collect();
    let changes: Vec<_> = places
        .iter()
        .map(|to| Change { token: None, meeting: "m", from: None, to, now_s: 1 })
        .collect();
    let outcomes = futures_util::future::join_all(changes.iter().map(|it| store.commit(it))).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|it| **it == Outcome::Done).count(), 1);
    let winner = store.place_of("m").await.unwrap();
    let told = |it: &&Outcome| **it == Outcome::Moved(winner.clone());
    assert_eq!(outcomes.iter().filter(told).count(), 99, "and the others are told who it was");
}

#[tokio::test]
async fn forgets_tokens_that_ended_and_meetings_nobody_joined_for_long() {
    let store = RedbStore::in_memory(KEPT_S).unwrap();
    let to = place(1, 1);
    let change = |meeting, attempt, now_s| Change {
        token: token("t", attempt),
        meeting,
        from: None,
        to: &to,
        now_s,
    };
    assert_eq!(store.commit(&change("old", "one", 10)).await.unwrap(), Outcome::Done);
    assert_eq!(store.commit(&change("x", "two", 100)).await.unwrap(), Outcome::TokenUsed);
    // Who forgets does so behind its own change.
    let later = Change { token: None, ..change("y", "two", 101) };
    assert_eq!(store.commit(&later).await.unwrap(), Outcome::Done);
    assert_eq!(store.commit(&change("z", "two", 101)).await.unwrap(), Outcome::Done);
    assert!(store.place_of("old").await.unwrap().is_some());
    let much_later = Change { token: None, ..change("w", "two", KEPT_S + 1) };
    assert_eq!(store.commit(&much_later).await.unwrap(), Outcome::Done);
    assert!(store.place_of("old").await.unwrap().is_none());
}

#[tokio::test]
async fn orders_are_numbered_upwards_whatever_the_clock_does() {
    let store = RedbStore::in_memory(KEPT_S).unwrap();
    let mmr = mmr(1);
    let mut last = 0;
    for (wanted, now_ms) in
        [(Wanted::Drain { until_s: 5 }, 1_000), (Wanted::Serve, 900), (Wanted::Serve, 5_000)]
    {
        let order = store.order(&mmr, wanted, now_ms).await.unwrap();
        assert!(order.order > last && order.wanted == wanted);
        last = order.order;
    }
    assert_eq!(last, 5_000);
    let shared = store.exchange(&Default::default()).await.unwrap();
    assert_eq!(shared.orders[&mmr].order, 5_000);
}
