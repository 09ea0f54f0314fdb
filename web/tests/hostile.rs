//! What those get who mean the web infrastructure harm.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{Bed, OPERATOR, ask};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::lookup::RefusalCode;

#[tokio::test]
async fn no_meeting_an_ended_one_and_a_wrong_passcode_are_answered_alike() {
    let bed = Bed::new();
    let (_controller, web) = bed.start_whole("").await;
    let (open, ended) = (web.create("open").await, web.create("ended").await);
    assert_eq!(web.end(&ended.meeting).await, 204);
    let mut answers = Vec::new();
    for (meeting, passcode) in [
        (&*open.meeting, "wrong-passcode"),
        (&*ended.meeting, &*ended.passcode),
        (&*ended.meeting, "wrong-passcode"),
        ("00000000000", &*open.passcode),
        ("00000000000", "wrong-passcode"),
    ] {
        let body = json!({ "meeting": meeting, "passcode": passcode });
        let answer = web.post("/v1/lookup", &body).send().await.unwrap();
        let mut headers: BTreeMap<_, _> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        headers.remove("date");
        answers.push((answer.status(), headers, answer.text().await.unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(answers[0].0, 403);
}

#[tokio::test]
async fn a_thousand_wrong_passcodes_are_slowed_down_for_meetings_that_are_and_are_not() {
    let bed = Bed::new();
    let limits = "[limits]\nrequests_per_address_burst = 10000\n\
        guesses_per_meeting_burst = 12\nguesses_per_address_burst = 8\n";
    let (_controller, web) = bed.start_whole(limits).await;
    let made = web.create("m").await;
    for (meeting, block) in [(&*made.meeting, 1), ("00000000000", 2)] {
        let mut outcomes = BTreeMap::new();
        for guess in 0..1_000_u16 {
            // From ten addresses in turn: 8 guesses each would be 80, the meeting's are 12.
            let from = IpAddr::from([127, 0, block, u8::try_from(guess % 10).unwrap() + 1]);
            let passcode = format!("guess-{guess}");
            // One connection after the other would take a handshake for each guess.
            let http = bed_client(&bed, from);
            let refusal = web.look_up_from(&http, meeting, &passcode).await.unwrap_err();
            assert_eq!(refusal.retry_after_ms.is_some(), refusal.code == RefusalCode::TooFast);
            *outcomes.entry(refusal.code.status()).or_insert(0) += 1;
        }
        let checked = outcomes[&403];
        // A few come back while the test runs: 30 a minute.
        assert!((12..60).contains(&checked), "{outcomes:?}");
        assert_eq!(outcomes.keys().copied().collect::<Vec<_>>(), [403, 429]);
    }
    // Another meeting can be looked up meanwhile, and as often as one likes with its passcode.
    let other = web.create("other").await;
    for _ in 0..20 {
        web.look_up(&other.meeting, &other.passcode).await.unwrap();
    }
    let told = web.metrics().await;
    assert!(told.contains("web_refusals_total{code=\"too_fast\"}"), "{told}");
}

/// One client for each address.
fn bed_client(bed: &Bed, from: IpAddr) -> reqwest::Client {
    use std::cell::RefCell;
    thread_local! {
        static CLIENTS: RefCell<BTreeMap<IpAddr, reqwest::Client>> = const { RefCell::new(BTreeMap::new()) };
    }
    CLIENTS.with_borrow_mut(|clients| clients.entry(from).or_insert_with(|| bed.http(from)).clone())
}

#[tokio::test]
async fn one_address_guesses_at_many_meetings_only_so_often() {
    let bed = Bed::new();
    let (_controller, web) = bed
        .start_whole(
            "[limits]\nguesses_per_address_burst = 5\nguesses_per_address_per_minute = 1\n",
        )
        .await;
    let mut slowed = 0;
    for number in 0..30 {
        let refusal = web.look_up(&format!("{number:011}"), "wrong-passcode").await.unwrap_err();
        slowed += u32::from(refusal.code == RefusalCode::TooFast);
    }
    assert!((20..=25).contains(&slowed), "{slowed}");
    let made = web.create("m").await;
    let elsewhere = bed.http([127, 0, 0, 9].into());
    web.look_up_from(&elsewhere, &made.meeting, &made.passcode).await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let bed = Bed::new();
    let (_controller, web) = bed.start_whole("").await;
    let lookup = |body: Value| web.post("/v1/lookup", &body);
    let raw = |body: &str| web.http.post(format!("{}/v1/lookup", web.url)).body(body.to_owned());
    let create = |body: Value| web.post("/v1/meetings", &body).bearer_auth(OPERATOR);
    let good = json!({ "meeting": "01234567890", "passcode": "open.sesame" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (request, status) in [
        (raw("{"), 400),
        (raw(&"[".repeat(4_000)), 400),
        (raw(&"x".repeat(5_000)), 413),
        (lookup(json!({ "meeting": "01234567890" })), 400),
        (lookup(with("meeting", json!("0123456789"))), 400),
        (lookup(with("meeting", json!("' OR '1'='1"))), 400),
        (lookup(with("meeting", json!(1_234_567_890))), 400),
        (lookup(with("passcode", json!("12345"))), 400),
        (lookup(with("passcode", json!("p".repeat(65)))), 400),
        (lookup(with("name", json!(""))), 400),
        (lookup(with("name", json!("<script>"))), 400),
        (lookup(with("name", json!("n".repeat(49)))), 400),
        (lookup(with("role", json!("host"))), 400),
        (create(json!({})), 400),
        (create(json!({ "title": "" })), 400),
        (create(json!({ "title": "t".repeat(201) })), 400),
        (create(json!({ "title": "t", "passcode": "short" })), 400),
        (create(json!({ "title": "t", "passcode": "with space" })), 400),
        (create(json!({ "title": "t", "passcode": "with#hash" })), 400),
        (web.get("/v1/meetings?after=1%20OR%201").bearer_auth(OPERATOR), 400),
        (web.get("/v1/meetings?after=").bearer_auth(OPERATOR), 200),
        (web.get("/v1/lookup"), 405),
        (web.post("/", &json!(null)), 405),
        (web.post("/j/01234567890", &json!(null)), 405),
        (web.get("/v1/meetings/01234567890/end").bearer_auth(OPERATOR), 405),
        (web.post("/v1/meetings/x/end", &json!(null)).bearer_auth(OPERATOR), 404),
        (web.post("/v1/meetings/../end", &json!(null)).bearer_auth(OPERATOR), 404),
        (web.get("/j/1"), 404),
        (web.get("/j/01234567890/.."), 404),
        (web.get("/nothing"), 404),
    ] {
        let (found, body) = ask(request).await;
        assert_eq!(found, status, "{body}");
        assert!(found == 200 || body["code"].is_string() && body["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn operators_prove_who_they_are_and_a_password_changes_nothing() {
    let bed = Bed::new();
    let (_controller, web) = bed.start_whole("").await;
    let made = web.create("m").await;
    let new = json!({ "title": "t" });
    let end = format!("/v1/meetings/{}/end", made.meeting);
    for (request, status) in [
        (web.post("/v1/meetings", &new), 401),
        (web.post("/v1/meetings", &new).bearer_auth("guess"), 401),
        (web.post("/v1/meetings", &new).basic_auth("any", Some(OPERATOR)), 401),
        (web.post(&end, &json!(null)), 401),
        (web.post(&end, &json!(null)).basic_auth("any", Some(OPERATOR)), 401),
        (web.get("/v1/meetings"), 401),
        (web.get("/v1/meetings").basic_auth("any", Some("guess")), 401),
        (web.get("/v1/meetings").basic_auth("any", Some(OPERATOR)), 200),
        (web.get("/metrics"), 401),
    ] {
        assert_eq!(ask(request).await.0, status);
    }
    let list = web.operate(web.get("/v1/meetings")).await.1;
    assert!(!list.to_string().contains(&*made.passcode), "passcodes are told once");
    web.look_up(&made.meeting, &made.passcode).await.unwrap();
}

#[tokio::test]
async fn one_address_asks_only_so_often() {
    let bed = Bed::new();
    let (_controller, web) = bed
        .start_whole("[limits]\nrequests_per_address_burst = 20\nrequests_per_address_per_s = 1\n")
        .await;
    let mut slowed = 0;
    for _ in 0..60 {
        slowed += u32::from(ask(web.get("/.well-known/jwks.json")).await.0 == 429);
    }
    assert!(slowed >= 10, "{slowed}");
}

#[tokio::test]
async fn what_is_kept_of_a_passcode_is_not_the_passcode() {
    let bed = Bed::new();
    let (_controller, web) = bed.start_whole("").await;
    let made = web.create("m").await;
    web.look_up(&made.meeting, &made.passcode).await.unwrap();
    web.daemon.stop().await;
    for file in std::fs::read_dir(bed.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let passcode = made.passcode.as_bytes();
        assert!(!bytes.windows(passcode.len()).any(|window| window == passcode));
    }
}
