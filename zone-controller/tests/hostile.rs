//! What a controller answers to those who mean it harm, and that it serves everybody else meanwhile.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{AGENT, Asked, Bed, OPERATOR, assign, now_s};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::Kind;
use wire::control::Secret;
use wire::token::{Claims, Signer, Ticket};
use wire::zone::{Assign, RefusalCode};

async fn refused(controller: &Asked<'_>, asked: &Assign) -> RefusalCode {
    controller.assign(asked).await.unwrap_err().code
}

#[tokio::test]
async fn forged_expired_and_foreign_tokens_are_refused() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let claims = || bed.claims("m", "p");
    let signed = |claims: &Claims| assign("m", &bed.web.sign(claims));
    let stranger = Signer::generate();
    let own = assign("m", &bed.own.sign(&claims()));
    let expired = Claims { iat: now_s() - 400, exp: now_s() - 100, ..claims() };
    let endless = Claims { exp: now_s() + 100_000, ..claims() };
    let elsewhere = Claims { aud: "other".into(), ..claims() };
    let narrow = Claims { kinds: vec![Kind::Audio], ..claims() };
    for (asked, code) in [
        (assign("m", &stranger.sign(&claims())), RefusalCode::BadToken),
        (own, RefusalCode::BadToken),
        (assign("m", "no token at all"), RefusalCode::BadToken),
        (assign("m", ""), RefusalCode::BadToken),
        (assign("m", &"x".repeat(3_000)), RefusalCode::BadToken),
        (signed(&expired), RefusalCode::TokenExpired),
        (signed(&endless), RefusalCode::TokenExpired),
        (signed(&elsewhere), RefusalCode::BadToken),
        (signed(&narrow), RefusalCode::NotAllowed),
        (Assign { meeting: "another".into(), ..signed(&claims()) }, RefusalCode::NotAllowed),
        (Assign { kinds: vec![], ..signed(&claims()) }, RefusalCode::BadRequest),
        (Assign { kinds: vec![Kind::Audio; 4], ..signed(&claims()) }, RefusalCode::BadRequest),
        (Assign { attempt: Some("".into()), ..signed(&claims()) }, RefusalCode::BadRequest),
    ] {
        assert_eq!(refused(&controller, &asked).await, code, "{asked:?}");
    }
    controller.assign(&signed(&claims())).await.unwrap();
}

#[tokio::test]
async fn forged_expired_and_foreign_tickets_are_refused() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let ticket = || Ticket::of(&bed.claims("m", "p"), now_s(), 600);
    let past = Ticket::of(&bed.claims("m", "p"), now_s() - 1_000, 600);
    let elsewhere = Ticket { aud: "other/tickets".into(), ..ticket() };
    for (ticket, by, code) in [
        (ticket(), &bed.web, RefusalCode::BadToken),
        (ticket(), &Signer::generate(), RefusalCode::BadToken),
        (elsewhere, &bed.own, RefusalCode::BadToken),
        (past, &bed.own, RefusalCode::TokenExpired),
    ] {
        assert_eq!(refused(&controller, &assign("m", &by.sign_ticket(&ticket))).await, code);
    }
    let other = assign("another", &bed.own.sign_ticket(&ticket()));
    assert_eq!(refused(&controller, &other).await, RefusalCode::NotAllowed);
    controller.assign(&assign("m", &bed.own.sign_ticket(&ticket()))).await.unwrap();
}

#[tokio::test]
async fn one_token_asked_with_by_many_at_once_is_taken_once() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let asked = bed.assign("m");
    let answers = futures_util::future::join_all((0..50).map(|_| controller.assign(&asked))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let used = |answer: &Result<_, wire::zone::Refusal>| {
        answer.as_ref().is_err_and(|refusal| refusal.code == RefusalCode::TokenUsed)
    };
    assert_eq!(answers.iter().filter(|answer| used(answer)).count(), 49);
    let zone = controller.zone().await;
    assert!((zone.mmrs[0].stress_corrected - 0.101).abs() < 1e-9, "one was placed: {zone:?}");
}

#[tokio::test]
async fn who_asks_all_the_time_with_one_ticket_is_slowed_down_and_fills_no_mmr() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    controller.report("mmr-1", 0.1).await;
    let first = controller.assign(&bed.assign("m")).await.unwrap();
    let again = assign("m", &first.ticket);
    let mut slowed = 0;
    for _ in 0..30 {
        match controller.assign(&again).await {
            Ok(place) => assert_eq!(place.epoch, 1),
            Err(refusal) => {
                assert_eq!(refusal.code, RefusalCode::TooFast);
                assert!(refusal.retry_after_ms.is_some());
                slowed += 1;
            }
        }
    }
    assert!(slowed >= 15, "{slowed}");
    let stress = controller.zone().await.mmrs[0].stress_corrected;
    assert!(stress < 0.12, "{stress}");
    controller.assign(&bed.assign("m")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    let post = |path: &str, body: String| {
        let request = controller.http.post(format!("{}{path}", controller.url));
        request.header("content-type", "application/json").body(body)
    };
    let long = json!({ "meeting": "m".repeat(20_000), "kinds": ["audio"], "token": "t" });
    for (request, status) in [
        (post("/v1/assign", "{".into()), 400),
        (post("/v1/assign", "[".repeat(8_000)), 400),
        (post("/v1/assign", "{\"meeting\":\"m\"}".into()), 400),
        (post("/v1/assign", "\u{feff}{}".into()), 400),
        (post("/v1/assign", long.to_string()), 413),
        (controller.get("/v1/assign"), 405),
        (controller.get("/v1/report"), 405),
        (controller.get("/v1/nothing"), 404),
        (controller.get("/v1/mmrs/../zone/drain"), 404),
        (controller.get("/v1/download"), 400),
        (controller.get("/v1/download?bytes=0"), 400),
        (controller.get("/v1/download?bytes=99999999"), 400),
        (controller.get("/v1/download?bytes=-1&bytes=2"), 400),
        (controller.get("/metrics").bearer_auth("guess"), 401),
        (controller.get("/metrics").header("authorization", "Basic %%%"), 401),
        (post("/v1/mmrs/a%2Fb/drain", "{\"deadline_s\":1}".into()).bearer_auth(OPERATOR), 404),
        (post("/v1/mmrs/m/drain", "{\"deadline_s\":0}".into()).bearer_auth(OPERATOR), 400),
        (post("/v1/mmrs/m/drain", "{\"deadline_s\":1e9}".into()).bearer_auth(OPERATOR), 400),
    ] {
        let (found, body) = controller.ask(request).await;
        assert_eq!(found, status, "{body}");
        let refusal: Value = serde_json::from_str(&body).unwrap();
        assert!(refusal["code"].is_string() && refusal["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn reports_of_strangers_and_reports_that_are_none_change_nothing() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    let good = bed.report("mmr-1", 0.1);
    let other_zone = {
        let mut it = good.clone();
        it["zone"] = "other".into();
        it
    };
    let bad_id = {
        let mut it = good.clone();
        it["mmr"] = "<script>".into();
        it
    };
    let huge = {
        let mut it = good.clone();
        it["stress"]["value"] = json!(1e300);
        it
    };
    let bytes = |len: usize| json!({ "v": 1, "agent": "x".repeat(len) });
    for (request, status) in [
        (controller.post("/v1/report", &good), 401),
        (controller.post("/v1/report", &good).bearer_auth(OPERATOR), 401),
        (controller.post("/v1/report", &bytes(100_000)).bearer_auth("guess"), 401),
        (controller.post("/v1/report", &other_zone).bearer_auth(AGENT), 400),
        (controller.post("/v1/report", &bad_id).bearer_auth(AGENT), 400),
        (controller.post("/v1/report", &huge).bearer_auth(AGENT), 400),
        (controller.post("/v1/report", &json!({ "v": 2 })).bearer_auth(AGENT), 400),
        (controller.post("/v1/report", &bytes(3 << 20)).bearer_auth(AGENT), 413),
    ] {
        let (found, body) = controller.ask(request).await;
        assert_eq!(found, status, "{body}");
    }
    assert_eq!(controller.zone().await.mmrs, []);
}

#[tokio::test]
async fn a_certificate_of_another_authority_opens_nothing() {
    let (bed, other) = (Bed::new(), Bed::new());
    let controller = bed.controller("zc", "");
    let (certificate, key) = other.certificate("mmr-1");
    let tls = bed.tls_with(&certificate, &key);
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
    let request =
        http.post(format!("{}/v1/report", controller.url)).json(&bed.report("mmr-1", 0.1));
    assert!(request.send().await.is_err(), "the handshake fails");
}

#[tokio::test]
async fn one_address_asks_only_so_often() {
    let bed = Bed::new();
    let limits = "[limits]\nrequests_per_address_per_s = 10\nrequests_per_address_burst = 20\n";
    let controller = bed.controller("zc", limits);
    let mut told = 0;
    for _ in 0..40 {
        let (status, body) = controller.ask(controller.get("/v1/ping")).await;
        told += u32::from(status == 429);
        assert!(status == 200 || body.contains("retry_after_ms"), "{body}");
    }
    assert!((10..=20).contains(&told), "{told}");
    controller.report("mmr-1", 0.1).await;
}

#[tokio::test]
async fn connections_are_limited_in_all_and_slow_ones_are_ended() {
    let bed = Bed::new();
    let limits = "[limits]\nconnections = 8\nconnections_per_address = 4\n";
    let controller = bed.controller("zc", limits);
    let address = controller.daemon.as_ref().unwrap().addresses()[0];
    let since = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    // Accepted in order: when this one is dropped the four are in.
    let mut fifth = TcpStream::connect(address).await.unwrap();
    assert_eq!(read_all(&mut fifth).await, 0);
    for stream in &mut idle {
        assert_eq!(read_all(stream).await, 0, "they never say hello");
    }
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(4), "{took:?}");
    assert_eq!(controller.ask(controller.get("/v1/ping")).await.0, 200);
}

#[tokio::test]
async fn a_body_sent_a_byte_at_a_time_holds_nobody_up() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    let mut slow = connect(&bed, &controller).await;
    let head = "POST /v1/assign HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = tokio::io::split(slow);
    let dripping = tokio::spawn(async move {
        while to.write_all(b"{").await.is_ok() && to.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    assert_eq!(controller.ask(controller.get("/v1/ping")).await.0, 200);
    let mut answer = [0; 12];
    from.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    dripping.abort();
}

async fn connect(bed: &Bed, controller: &Asked<'_>) -> TlsStream<TcpStream> {
    let address = controller.daemon.as_ref().unwrap().addresses()[0];
    let connector = TlsConnector::from(Arc::new(bed.tls(None)));
    let stream = TcpStream::connect(address).await.unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Bytes until the end.
async fn read_all(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes.len()
}

#[tokio::test]
async fn secrets_are_in_no_answer_and_no_debug() {
    let bed = Bed::new();
    let controller = bed.controller("zc", "");
    let asked = Assign { attempt: Some(Secret("my attempt".into())), ..assign("m", "se.cr.et") };
    let (_, body) = controller.ask(controller.post("/v1/assign", &asked)).await;
    assert!(!body.contains("se.cr.et") && !format!("{asked:?}").contains("my attempt"), "{body}");
}
