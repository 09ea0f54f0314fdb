//! Several controllers on one etcd cluster: what they agree on stays agreed on, whoever dies.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::etcd::{Cluster, Wires};
use bed::{Asked, Bed, OPERATOR, assign};
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::zone::{Assign, Assignment, RefusalCode};

/// A controller on etcd that has heard of the store.
async fn controller<'a>(bed: &'a Bed, name: &str, store: &str) -> Asked<'a> {
    let controller = bed.start(&bed.config(name, store));
    controller.ready().await;
    controller
}

/// Every MMR reports to every controller.
async fn report(controllers: &[&Asked<'_>], mmrs: u32) {
    for controller in controllers {
        for mmr in 0..mmrs {
            controller.report(&format!("mmr-{mmr}"), 0.1).await;
        }
    }
}

/// Asks until there is an answer, as clients do: refusals must say when to ask again.
async fn insist(controller: &Asked<'_>, asked: &Assign, patience: Duration) -> Assignment {
    let since = Instant::now();
    loop {
        match controller.assign(asked).await {
            Ok(assignment) => return assignment,
            Err(refusal) => {
                let wait =
                    refusal.retry_after_ms.unwrap_or_else(|| panic!("for good: {refusal:?}"));
                assert!(since.elapsed() < patience, "{refusal:?}");
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
        report(&[controller], 3).await;
    }
}

#[tokio::test]
async fn two_controllers_asked_at_once_never_place_one_meeting_twice() {
    let bed = Bed::new();
    let cluster = Cluster::with_tls(&bed).await;
    let one = controller(&bed, "one", &cluster.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&one, &other], 8).await;
    let mut places: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for round in 0..10 {
        let meetings: Vec<_> = (0..20).map(|n| format!("meeting-{round}-{n}")).collect();
        let asked: Vec<_> =
            meetings.iter().flat_map(|name| [(name, &one), (name, &other)]).collect();
        let answers = join_all(asked.iter().map(|(meeting, controller)| async move {
            insist(controller, &bed_assign(controller, meeting), Duration::from_secs(20)).await
        }));
        for ((meeting, _), place) in asked.iter().zip(answers.await) {
            let place = (place.mmr.to_string(), place.epoch);
            places.entry((*meeting).clone()).or_default().push(place);
        }
    }
    assert_eq!(places.len(), 200);
    for (meeting, places) in &places {
        assert_eq!(places[0], places[1], "{meeting}");
        assert_eq!(places[0].1, 1, "{meeting}");
    }
    let used: std::collections::BTreeSet<_> = places.values().map(|places| &places[0].0).collect();
    assert_eq!(used.len(), 8, "they are spread");
}

fn bed_assign(controller: &Asked<'_>, meeting: &str) -> Assign {
    controller.bed.assign(meeting)
}

#[tokio::test]
async fn a_token_is_used_once_in_the_whole_zone() {
    let bed = Bed::new();
    let cluster = Cluster::start(1).await;
    let one = controller(&bed, "one", &cluster.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&one, &other], 2).await;
    for _ in 0..20 {
        let asked = bed.assign("m");
        let both = [one.assign(&asked), other.assign(&asked)];
        let answers = join_all(both).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    }
    // An attempt whose answer was lost is made again at the other controller.
    let asked = Assign { attempt: Some("mine".into()), ..bed.assign("m") };
    let first = one.assign(&asked).await.unwrap();
    assert_eq!(other.assign(&asked).await.unwrap().mmr, first.mmr);
    let thief = Assign { attempt: Some("thief's".into()), ..asked };
    assert_eq!(other.assign(&thief).await.unwrap_err().code, RefusalCode::TokenUsed);
}

#[tokio::test]
async fn when_a_controller_is_killed_the_other_goes_on_where_it_was() {
    let bed = Bed::new();
    let cluster = Cluster::start(1).await;
    let mut one = controller(&bed, "one", &cluster.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&one, &other], 3).await;
    let before = one.assign(&bed.assign("m")).await.unwrap();
    one.kill();
    let after = other.assign(&assign("m", &before.ticket)).await.unwrap();
    assert_eq!((after.mmr, after.epoch), (before.mmr, before.epoch));
    other.assign(&bed.assign("another")).await.unwrap();
}

#[tokio::test]
async fn a_drain_is_known_to_every_controller_and_so_is_its_end() {
    let bed = Bed::new();
    let cluster = Cluster::start(1).await;
    let one = controller(&bed, "one", &cluster.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&one, &other], 1).await;
    let mut orders = Vec::new();
    for (path, wanted) in [("drain", "drain"), ("undrain", "serve"), ("drain", "drain")] {
        let body = json!({ "deadline_s": 600 });
        let body = if path == "drain" { body } else { json!({}) };
        let order = one.post(&format!("/v1/mmrs/mmr-0/{path}"), &body).bearer_auth(OPERATOR);
        assert_eq!(one.ask(order).await.0, 204);
        let since = Instant::now();
        let reply = loop {
            let reply = other.report("mmr-0", 0.1).await;
            if reply["wanted"]["state"] == wanted {
                break reply;
            }
            assert!(since.elapsed() < Duration::from_secs(10), "{reply}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        orders.push(reply["wanted"]["order"].as_u64().unwrap());
    }
    assert!(orders.is_sorted() && orders[0] < orders[2], "{orders:?}");
    assert_eq!(other.assign(&bed.assign("m")).await.unwrap_err().code, RefusalCode::NoMmr);
}

#[tokio::test]
async fn an_mmr_that_only_one_controller_hears_keeps_its_meetings() {
    let bed = Bed::new();
    let cluster = Cluster::start(1).await;
    let deaf = controller(&bed, "deaf", &cluster.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&deaf, &other], 1).await;
    let first = deaf.assign(&bed.assign("m")).await.unwrap();
    let again = assign("m", &first.ticket);
    let since = Instant::now();
    // For seven seconds mmr-0 reports to one controller alone, mmr-1 to both.
    while since.elapsed() < Duration::from_secs(7) {
        other.report("mmr-0", 0.1).await;
        other.report("mmr-1", 0.1).await;
        deaf.report("mmr-1", 0.1).await;
        match deaf.assign(&again).await {
            Ok(place) => assert_eq!((place.mmr.as_str(), place.epoch), ("mmr-0", 1)),
            Err(refusal) => assert_eq!(refusal.code, RefusalCode::Unavailable, "{refusal:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    assert_eq!(deaf.assign(&again).await.unwrap().epoch, 1, "it is known by now that it is well");
    // And when nobody hears it any more, it is lost.
    let since = Instant::now();
    loop {
        other.report("mmr-1", 0.1).await;
        deaf.report("mmr-1", 0.1).await;
        match deaf.assign(&again).await {
            Ok(place) if place.epoch == 2 => break assert_eq!(place.mmr.as_str(), "mmr-1"),
            _ => tokio::time::sleep(Duration::from_millis(1_100)).await,
        }
        assert!(since.elapsed() < Duration::from_secs(15), "its meeting stays for ever");
    }
}

#[tokio::test]
async fn when_an_etcd_member_is_killed_assignments_go_on_and_nothing_is_lost() {
    let bed = Bed::new();
    let mut cluster = Cluster::start(3).await;
    let one = controller(&bed, "one", &cluster.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&one, &other], 3).await;
    let used = bed.assign("before");
    let before = one.assign(&used).await.unwrap();
    // Each in turn: one of them leads.
    for member in 0..3 {
        cluster.kill(member);
        for controller in [&one, &other] {
            let patience = Duration::from_secs(20);
            let place = insist(controller, &assign("before", &before.ticket), patience).await;
            assert_eq!((place.mmr, place.epoch), (before.mmr.clone(), 1));
            insist(controller, &bed.assign(&format!("during-{member}")), patience).await;
        }
        cluster.revive(member);
        cluster.wait(member).await;
    }
    assert_eq!(other.assign(&used).await.unwrap_err().code, RefusalCode::TokenUsed);
}

#[tokio::test]
async fn without_a_majority_everybody_is_told_to_retry_and_nothing_is_lost() {
    let bed = Bed::new();
    let mut cluster = Cluster::start(3).await;
    let one = controller(&bed, "one", &cluster.store()).await;
    report(&[&one], 3).await;
    let used = bed.assign("m");
    let before = one.assign(&used).await.unwrap();
    cluster.kill(0);
    cluster.kill(1);
    let waiting = bed.assign("m");
    for asked in [&waiting, &assign("m", &before.ticket), &bed.assign("new")] {
        let since = Instant::now();
        let refusal = one.assign(asked).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Unavailable);
        assert!(refusal.retry_after_ms.is_some() && since.elapsed() < Duration::from_secs(6));
    }
    cluster.revive(0);
    cluster.revive(1);
    let after = insist(&one, &waiting, Duration::from_secs(30)).await;
    assert_eq!((after.mmr, after.epoch), (before.mmr, 1));
    assert_eq!(one.assign(&used).await.unwrap_err().code, RefusalCode::TokenUsed);
}

#[tokio::test]
async fn a_controller_cut_off_from_etcd_places_nobody_until_it_is_back() {
    let bed = Bed::new();
    let cluster = Cluster::start(1).await;
    let wires = Wires::to(&cluster).await;
    let cut_off = controller(&bed, "cut-off", &wires.store()).await;
    let other = controller(&bed, "other", &cluster.store()).await;
    report(&[&cut_off, &other], 3).await;
    let before = cut_off.assign(&bed.assign("m")).await.unwrap();
    wires.cut(true);
    let waiting = Assign { attempt: Some("again".into()), ..bed.assign("m") };
    assert_eq!(cut_off.assign(&waiting).await.unwrap_err().code, RefusalCode::Unavailable);
    // Meanwhile the meeting moves at the other.
    let drain = other.post(&format!("/v1/mmrs/{}/drain", before.mmr), &json!({ "deadline_s": 60 }));
    assert_eq!(other.ask(drain.bearer_auth(OPERATOR)).await.0, 204);
    let moved = other.assign(&assign("m", &before.ticket)).await.unwrap();
    assert_eq!(moved.epoch, 2);
    assert_eq!(cut_off.assign(&waiting).await.unwrap_err().code, RefusalCode::Unavailable);
    wires.cut(false);
    let after = insist(&cut_off, &waiting, Duration::from_secs(20)).await;
    assert_eq!((after.mmr, after.epoch), (moved.mmr, 2), "it learns where the meeting went");
}

#[tokio::test]
async fn whatever_is_cut_or_killed_no_meeting_is_at_two_places_and_no_token_is_used_twice() {
    let bed = Bed::new();
    let mut cluster = Cluster::start(3).await;
    let wires = [Wires::to(&cluster).await, Wires::to(&cluster).await];
    let one = controller(&bed, "one", &wires[0].store()).await;
    let other = controller(&bed, "other", &wires[1].store()).await;
    report(&[&one, &other], 3).await;
    let asked: Vec<_> = (0..60).map(|n| (format!("meeting-{n}"), n % 12)).collect();
    let asks = join_all(asked.iter().map(|(meeting, later)| {
        let (bed, both) = (&bed, [&one, &other]);
        async move {
            tokio::time::sleep(Duration::from_millis(700) * *later).await;
            let both = both.map(|controller| async move {
                let attempt = Some(format!("{meeting} at {}", controller.url).as_str().into());
                let assign = Assign { attempt, ..bed.assign(meeting) };
                let place = insist(controller, &assign, Duration::from_secs(40)).await;
                (assign, (place.mmr, place.epoch))
            });
            join_all(both).await
        }
    }));
    // Each controller is cut off in the midst of its work, and each member dies once.
    let faults = async {
        for round in 0..6 {
            wires[round % 2].cut(true);
            tokio::time::sleep(Duration::from_millis(600)).await;
            wires[round % 2].cut(false);
            if round % 2 == 0 {
                cluster.kill(round / 2);
            }
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            if round % 2 == 0 {
                cluster.revive(round / 2);
                cluster.wait(round / 2).await;
            }
        }
    };
    let (answers, ()) = tokio::join!(asks, faults);
    for both in &answers {
        assert_eq!(both[0].1, both[1].1, "{}", both[0].0.meeting);
        assert_eq!(both[0].1.1, 1, "{}", both[0].0.meeting);
    }
    for (assign, _) in answers.iter().flatten().step_by(7) {
        let thief = Assign { attempt: Some("thief's".into()), ..assign.clone() };
        report(&[&one], 3).await;
        assert_eq!(one.assign(&thief).await.unwrap_err().code, RefusalCode::TokenUsed);
    }
}

#[tokio::test]
async fn who_is_more_than_a_controller_can_do_is_told_at_once_when_to_come_back() {
    let bed = Bed::new();
    let cluster = Cluster::start(1).await;
    let wires = Wires::to(&cluster).await;
    let limits = format!("{}[limits]\nassigns_at_once = 4\n", wires.store());
    let controller = controller(&bed, "one", &limits).await;
    report(&[&controller], 3).await;
    wires.cut(true);
    let asked: Vec<_> = (0..12).map(|_| bed.assign("m")).collect();
    let answers = join_all(asked.iter().map(|asked| async {
        let since = Instant::now();
        let refusal = controller.assign(asked).await.unwrap_err();
        assert!(refusal.retry_after_ms.is_some(), "{refusal:?}");
        (refusal.code, since.elapsed())
    }));
    let (shed, waited): (Vec<_>, Vec<_>) =
        answers.await.into_iter().partition(|(code, _)| *code == RefusalCode::Overloaded);
    assert_eq!((shed.len(), waited.len()), (8, 4));
    assert!(shed.iter().all(|(_, took)| *took < Duration::from_secs(1)), "{shed:?}");
    assert!(waited.iter().all(|(code, _)| *code == RefusalCode::Unavailable), "{waited:?}");
    wires.cut(false);
    for asked in &asked {
        insist(&controller, asked, Duration::from_secs(20)).await;
    }
}
