//! A controller asked over HTTPS by clients, agents and operators that behave.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{AGENT, Bed, OPERATOR, ZONE, assign, now_s};
use serde_json::{Value, json};
use std::path::Path;
use wire::Kind;
use wire::control::Secret;
use wire::token::Verifier;
use wire::zone::{Assign, RefusalCode};

#[tokio::test]
async fn a_newcomer_is_sent_to_an_mmr_with_a_token_it_takes() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let asked = Assign { kinds: vec![Kind::Audio], ..bed.assign("standup") };
    let assignment = controller.assign(&asked).await.unwrap();
    assert_eq!((assignment.mmr.as_str(), assignment.epoch), ("mmr-1", 1));
    assert_eq!(assignment.control.name, "mmr-1.example.org");
    let verifier = Verifier::from_jwks(ZONE, &bed.own.public_jwks()).unwrap();
    let claims = verifier.verify(&assignment.token, now_s()).unwrap();
    assert_eq!((claims.meeting.as_str(), claims.kinds), ("standup", vec![Kind::Audio]));
    assert!(claims.exp <= now_s() + 60);
    let web = bed.web.sign(&bed.claims("standup", "p"));
    assert!(verifier.verify(&web, now_s()).is_err(), "an MMR may take controllers' tokens alone");
    assert!(verifier.verify(&assignment.ticket, now_s()).is_err(), "no MMR takes a ticket");
}

#[tokio::test]
async fn everybody_of_a_meeting_is_sent_to_the_same_mmr() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    for mmr in 0..8 {
        controller.report(&format!("mmr-{mmr}"), 0.1).await;
    }
    for meeting in ["one", "two", "three"] {
        let first = controller.assign(&bed.assign(meeting)).await.unwrap();
        for _ in 0..5 {
            let next = controller.assign(&bed.assign(meeting)).await.unwrap();
            assert_eq!((next.mmr, next.epoch), (first.mmr.clone(), 1));
        }
    }
    let zone = controller.zone().await;
    assert_eq!(zone.mmrs.len(), 8);
}

#[tokio::test]
async fn a_token_is_used_once_and_its_attempt_may_be_made_again() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let asked = bed.assign("standup");
    controller.assign(&asked).await.unwrap();
    assert_eq!(controller.assign(&asked).await.unwrap_err().code, RefusalCode::TokenUsed);
    let named = |attempt: &str| Assign { attempt: Some(attempt.into()), ..bed.assign("standup") };
    let mut asked = named("one");
    controller.assign(&asked).await.unwrap();
    controller.assign(&asked).await.unwrap();
    asked.attempt = Some("another".into());
    assert_eq!(controller.assign(&asked).await.unwrap_err().code, RefusalCode::TokenUsed);
}

#[tokio::test]
async fn a_refusal_uses_no_token_up() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    let asked = bed.assign("standup");
    let refused = controller.assign(&asked).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::NoMmr);
    assert!(refused.retry_after_ms.is_some());
    controller.report("mmr-1", 0.1).await;
    controller.assign(&asked).await.unwrap();
}

#[tokio::test]
async fn with_its_ticket_a_participant_is_told_where_a_drained_meeting_went() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let first = controller.assign(&bed.assign("standup")).await.unwrap();
    let again = assign("standup", &first.ticket);
    assert_eq!(controller.assign(&again).await.unwrap().epoch, 1, "nothing moves without a reason");

    controller.report("mmr-2", 0.1).await;
    let hint = Assign { failed: Some(first.mmr.clone()), ..again.clone() };
    assert_eq!(controller.assign(&hint).await.unwrap().epoch, 1, "a hint moves nothing");
    let drain = controller.post("/v1/mmrs/mmr-1/drain", &json!({ "deadline_s": 600 }));
    assert_eq!(controller.ask(drain.bearer_auth(OPERATOR)).await.0, 204);
    let moved = controller.assign(&again).await.unwrap();
    assert_eq!((moved.mmr.as_str(), moved.epoch), ("mmr-2", 2));
    let newcomer = controller.assign(&bed.assign("standup")).await.unwrap();
    assert_eq!((newcomer.mmr, newcomer.epoch), (moved.mmr, 2));

    let reply = controller.report("mmr-1", 0.1).await;
    assert_eq!(reply["wanted"]["state"], "drain");
    let left = reply["wanted"]["deadline_s"].as_u64().unwrap();
    assert!((590..=600).contains(&left), "{reply}");
    assert!(controller.zone().await.mmrs[0].drain.is_some());
    let undrain = controller.post("/v1/mmrs/mmr-1/undrain", &json!({}));
    assert_eq!(controller.ask(undrain.bearer_auth(OPERATOR)).await.0, 204);
    let order = reply["wanted"]["order"].as_u64().unwrap();
    let reply = controller.report("mmr-1", 0.1).await;
    assert_eq!(reply["wanted"]["state"], "serve");
    assert!(reply["wanted"]["order"].as_u64().unwrap() > order);
}

#[tokio::test]
async fn a_stalled_mmr_loses_its_meetings_at_once() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let first = controller.assign(&bed.assign("standup")).await.unwrap();
    controller.report("mmr-2", 0.1).await;
    let mut report = bed.report("mmr-1", 0.1);
    report["state"] = "stalled".into();
    controller.send_report(&report).await;
    let moved = controller.assign(&assign("standup", &first.ticket)).await.unwrap();
    assert_eq!((moved.mmr.as_str(), moved.epoch), ("mmr-2", 2));
}

#[tokio::test]
async fn what_is_in_the_store_is_there_after_a_restart() {
    let bed = Bed::new();
    let mut controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let asked = bed.assign("standup");
    controller.assign(&asked).await.unwrap();
    let drain = controller.post("/v1/mmrs/mmr-1/drain", &json!({ "deadline_s": 600 }));
    controller.ask(drain.bearer_auth(OPERATOR)).await;
    controller.daemon.take().unwrap().stop().await;
    drop(controller);

    let controller = bed.controller("zc", "");
    controller.ready().await;
    controller.report("mmr-2", 0.1).await;
    assert_eq!(controller.assign(&asked).await.unwrap_err().code, RefusalCode::TokenUsed);
    assert_eq!(controller.report("mmr-1", 0.1).await["wanted"]["state"], "drain");
    let moved = controller.assign(&bed.assign("standup")).await.unwrap();
    assert_eq!((moved.mmr.as_str(), moved.epoch), ("mmr-2", 2));
}

#[tokio::test]
async fn a_meeting_that_the_store_knows_nothing_of_is_found_where_it_is() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.ready().await;
    for mmr in 1..9 {
        controller.report(&format!("mmr-{mmr}"), 0.1).await;
    }
    let mut report = bed.report("mmr-0", 0.5);
    report["router"] = router();
    let reply = controller.send_report(&report).await;
    assert_eq!(reply["list_meetings"], true);
    report["sequence"] = bed.number().into();
    let lost = json!({ "meeting": "standup", "participants": 3 });
    report["meeting_list"] = json!({ "complete": true, "meetings": [lost] });
    let reply = controller.send_report(&report).await;
    assert_eq!(reply.get("list_meetings"), None, "{reply}");
    for _ in 0..3 {
        let found = controller.assign(&bed.assign("standup")).await.unwrap();
        assert_eq!((found.mmr.as_str(), found.epoch), ("mmr-0", 1));
    }
}

/// What the daemon of an MMR with a meeting says.
fn router() -> Value {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/load-report.md");
    let text = bed::read(&page);
    let example = text.split("```json report\n").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str::<Value>(example).unwrap()["router"].take()
}

#[tokio::test]
async fn agents_report_by_certificate_for_their_own_mmr() {
    let bed = Bed::new();
    let mut controller = bed.controller("zc", "");
    controller.http = bed.http(Some("mmr-1"));
    let report = |mmr: &str| controller.post("/v1/report", &bed.report(mmr, 0.1));
    assert_eq!(controller.ask(report("mmr-1")).await.0, 200);
    assert_eq!(controller.ask(report("mmr-2")).await.0, 401);
    assert_eq!(controller.ask(report("mmr-2").bearer_auth(AGENT)).await.0, 200);
}

#[tokio::test]
async fn the_network_test_pings_and_downloads() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.ready().await;
    let (status, body) = controller.ask(controller.get("/v1/ping")).await;
    assert_eq!((status, body.as_str()), (200, r#"{"zone":"test","room":false}"#));
    controller.report("mmr-1", 0.1).await;
    let (_, body) = controller.ask(controller.get("/v1/ping")).await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["room"], true);
    let answer = controller.get("/v1/download?bytes=100000").send().await.unwrap();
    assert_eq!(answer.content_length(), Some(100_000));
    assert_eq!(answer.bytes().await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn operators_look_with_token_or_password_and_change_with_a_token_alone() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    for path in ["/", "/page.js", "/v1/zone", "/metrics"] {
        assert_eq!(controller.ask(controller.get(path)).await.0, 401, "{path}");
        let by_token = controller.get(path).bearer_auth(OPERATOR);
        assert_eq!(controller.ask(by_token).await.0, 200, "{path}");
        let by_password = controller.get(path).basic_auth("anybody", Some(OPERATOR));
        assert_eq!(controller.ask(by_password).await.0, 200, "{path}");
        let agent = controller.get(path).bearer_auth(AGENT);
        assert_eq!(controller.ask(agent).await.0, 401, "{path}");
    }
    let drain = || controller.post("/v1/mmrs/mmr-1/drain", &json!({ "deadline_s": 60 }));
    assert_eq!(controller.ask(drain()).await.0, 401);
    assert_eq!(controller.ask(drain().basic_auth("anybody", Some(OPERATOR))).await.0, 401);
    assert_eq!(controller.ask(drain().bearer_auth(OPERATOR)).await.0, 204);
    let unknown = controller.post("/v1/mmrs/mmr-9/drain", &json!({ "deadline_s": 60 }));
    assert_eq!(controller.ask(unknown.bearer_auth(OPERATOR)).await.0, 404);
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    controller.assign(&bed.assign("standup")).await.unwrap();
    let (_, text) = controller.ask(controller.get("/metrics").bearer_auth(OPERATOR)).await;
    let mut there: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            format!("| `{name}{suffix}` | {kind} |")
        })
        .collect();
    let page = bed::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"));
    let mut told: Vec<String> = page
        .lines()
        .filter(|line| line.starts_with("| `zone_controller_"))
        .map(|line| line.splitn(4, '|').take(3).collect::<Vec<_>>().join("|") + "|")
        .collect();
    there.sort();
    told.sort();
    assert_eq!(there, told);
    assert!(text.contains("zone_controller_placements_total{outcome=\"new\"} 1"), "{text}");
    assert!(text.contains("zone_controller_mmr_stress{mmr=\"mmr-1\"} 0.1"), "{text}");
}

#[tokio::test]
async fn a_reload_takes_new_keys_and_a_wrong_file_changes_nothing() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let config = bed.config("zc", "[store]\nfile = \"zc.redb\"\n");
    let daemon = controller.daemon.as_ref().unwrap();
    bed.write("token-keys.json", "{}");
    assert!(daemon.reload(&config).is_err());
    controller.assign(&bed.assign("standup")).await.unwrap();
    let other = wire::token::Signer::generate();
    bed.write("token-keys.json", &other.public_jwks());
    daemon.reload(&config).unwrap();
    let refused = controller.assign(&bed.assign("standup")).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::BadToken);
    let token = other.sign(&bed.claims("standup", "p"));
    let asked = Assign { token: Secret(token), ..bed.assign("standup") };
    controller.assign(&asked).await.unwrap();
}
