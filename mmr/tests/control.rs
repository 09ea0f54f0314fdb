//! The control channel of a real daemon, over real TLS WebSockets: what works, what is refused,
//! what harms nobody.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt, StreamExt};
use mmr::dev::claims;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Channel, Heard, Router, join, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wire::Kind;
use wire::control::ServerMessage;
use wire::limits::{CONTROL_MESSAGE_LEN_MAX, TOKEN_LEN_MAX};
use wire::token::{Claims, Role, Signer};

fn layer() -> Value {
    json!({"codec": "opus", "payload_type": 96, "max_bitrate": 64_000, "key": key()})
}

fn key() -> String {
    base64::engine::general_purpose::STANDARD.encode([7; 28])
}

fn message(value: Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn participants_meet_publish_and_subscribe() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    let (mut bob, joined) = router.join("m", "bob", Role::Attendee).await;
    assert_eq!(joined.roster, ["ada"]);
    let came = ada.hear().await;
    assert_eq!(came, ServerMessage::ParticipantJoined { participant: "bob".to_owned() });

    ada.say(r#"{"type":"connect","kind":"audio"}"#).await;
    let ServerMessage::Link { kind, addresses, .. } = ada.hear().await else {
        panic!("connect is answered by link");
    };
    assert_eq!(kind, Kind::Audio);
    assert_eq!(&addresses, router.daemon.addresses(), "loopback is told as it is bound");
    ada.say(&message(json!({"type": "publish", "kind": "audio", "layers": [layer()]}))).await;
    let ServerMessage::Published { stream, ssrcs, .. } = ada.hear().await else {
        panic!("publish is answered by published");
    };
    assert_eq!(ssrcs.len(), 1);

    let added = bob.hear().await;
    let ServerMessage::StreamAdded { stream: told, participant, layers, .. } = added else {
        panic!("not a new stream but {added:?}");
    };
    assert_eq!((told, participant.as_str(), layers[0].ssrc), (stream, "ada", ssrcs[0]));
    bob.say(r#"{"type":"connect","kind":"audio"}"#).await;
    assert!(matches!(bob.hear().await, ServerMessage::Link { .. }));
    bob.say(&message(json!({"type": "subscribe", "stream": stream, "max_layer": 0}))).await;
    assert!(matches!(bob.hear().await, ServerMessage::Subscribed { layer: 0, .. }));

    ada.say(r#"{"type":"leave"}"#).await;
    assert_eq!(ada.closed().await.unwrap().code, CloseCode::Normal);
    let left = ServerMessage::ParticipantLeft { participant: "ada".to_owned() };
    bob.hear_until(|message| (message == left).then_some(())).await;
    let stats = router.daemon.stats().await.unwrap();
    assert_eq!((stats.meetings, stats.participants, stats.streams), (1, 1, 0));
    router.daemon.stop().await;
}

#[tokio::test]
async fn a_first_message_that_is_no_join_is_refused_and_closes_the_channel() {
    let router = Router::start();
    let token = router.dev.token("m", "p", Role::Host);
    let cases = [
        ("not JSON".to_owned(), "bad_message"),
        ("{}".to_owned(), "bad_message"),
        ("[".repeat(10_000), "bad_message"),
        (r#"{"type":"jion"}"#.to_owned(), "bad_message"),
        (message(json!({"type": "join", "v": 1})), "bad_message"),
        (message(json!({"type": "join", "v": 1, "token": token, "name": "x"})), "bad_message"),
        (message(json!({"type": "join", "v": 2, "token": token})), "bad_version"),
        (message(json!({"type": "resume", "v": 2, "session": "x"})), "bad_version"),
        (message(json!({"type": "resume", "v": 1, "session": "x"})), "unknown_session"),
        (r#"{"type":"connect","kind":"audio"}"#.to_owned(), "out_of_order"),
        (r#"{"type":"leave"}"#.to_owned(), "out_of_order"),
    ];
    for (text, code) in cases {
        let mut channel = router.channel().await;
        channel.say(&text).await;
        assert_eq!(channel.refusal().await, code, "{text:.80}");
        assert_eq!(channel.closed().await.unwrap().code, CloseCode::Normal, "{text:.80}");
    }
    let mut channel = router.channel().await;
    channel.socket.send(Message::binary(vec![0; 100])).await.unwrap();
    assert_eq!(channel.refusal().await, "bad_message", "binary");
    // None of them used the token up.
    let mut channel = router.channel().await;
    channel.say(&join(&token)).await;
    channel.joined().await;
    router.daemon.stop().await;
}

#[tokio::test]
async fn tokens_are_taken_only_when_everything_about_them_is_right() {
    let router = Router::start();
    let stranger = Signer::generate();
    let good = || claims("dev", "m", "p", Role::Host, &Kind::ALL, Duration::from_secs(60));
    let sign = |claims: &Claims| router.dev.signer().sign(claims);
    let now = good().iat;
    let of_another_kid = stranger.sign(&good());
    let part = |token: &str, at: usize| token.split('.').nth(at).unwrap().to_owned();
    let genuine = sign(&good());
    // The stranger's signature under the right kid.
    let forged = format!("{}.{}", part(&genuine, 0), part(&of_another_kid, 1));
    let forged = format!("{forged}.{}", part(&of_another_kid, 2));
    // Somebody else's claims under a genuine signature.
    let host = sign(&Claims { role: Role::Viewer, ..good() });
    let altered = format!("{}.{}.{}", part(&host, 0), part(&genuine, 1), part(&host, 2));
    let with_header = |header: Value, signature: &str| {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.{signature}", part(&genuine, 1))
    };
    let unsigned = with_header(json!({"typ": "JWT", "alg": "none"}), "");
    let kid = serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part(&genuine, 0)).unwrap());
    let kid = kid.unwrap()["kid"].clone();
    let symmetric =
        with_header(json!({"typ": "JWT", "alg": "HS256", "kid": kid}), &part(&genuine, 2));
    let cases = [
        ("empty", String::new(), "bad_token"),
        ("no token", "hello".to_owned(), "bad_token"),
        ("too long", "x".repeat(TOKEN_LEN_MAX + 1), "bad_token"),
        ("unknown key", of_another_kid, "bad_token"),
        ("forged", forged, "bad_token"),
        ("altered", altered, "bad_token"),
        ("alg none", unsigned, "bad_token"),
        ("alg HS256", symmetric, "bad_token"),
        ("other zone", sign(&Claims { aud: "elsewhere".to_owned(), ..good() }), "bad_token"),
        ("no name", sign(&Claims { sub: String::new(), ..good() }), "bad_token"),
        ("expired", sign(&Claims { iat: now - 120, exp: now - 60, ..good() }), "token_expired"),
        ("not yet", sign(&Claims { iat: now + 60, exp: now + 120, ..good() }), "token_expired"),
        ("lives too long", sign(&Claims { exp: now + 601, ..good() }), "token_expired"),
    ];
    for (what, token, code) in cases {
        let mut channel = router.channel().await;
        channel.say(&join(&token)).await;
        assert_eq!(channel.refusal().await, code, "{what}");
        channel.closed().await;
    }
    let mut first = router.channel().await;
    first.say(&join(&genuine)).await;
    first.joined().await;
    let mut again = router.channel().await;
    again.say(&join(&genuine)).await;
    assert_eq!(again.refusal().await, "token_used");
    again.closed().await;
    let stats = router.daemon.stats().await.unwrap();
    assert_eq!(stats.control.errors["bad_token"], 10);
    assert_eq!(stats.control.errors["token_expired"], 3);
    assert_eq!(stats.control.errors["token_used"], 1);
    assert_eq!(stats.participants, 1);
    router.daemon.stop().await;
}

#[tokio::test]
async fn later_mistakes_are_answered_and_the_channel_goes_on() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    let token = router.dev.token("m", "other", Role::Host);
    let cases = [
        ("not JSON".to_owned(), "bad_message"),
        (r#"{"type":"connect","kind":"smell"}"#.to_owned(), "bad_message"),
        (join(&token), "out_of_order"),
        (message(json!({"type": "resume", "v": 1, "session": "x"})), "out_of_order"),
        (message(json!({"type": "publish", "kind": "audio", "layers": [layer()]})), "no_link"),
        (message(json!({"type": "subscribe", "stream": 7, "max_layer": 0})), "unknown_stream"),
        (message(json!({"type": "unpublish", "stream": 7})), "unknown_stream"),
    ];
    for (text, code) in cases {
        ada.say(&text).await;
        assert_eq!(ada.refusal().await, code, "{text}");
    }
    ada.say(r#"{"type":"connect","kind":"video"}"#).await;
    assert!(matches!(ada.hear().await, ServerMessage::Link { kind: Kind::Video, .. }));
    router.daemon.stop().await;
}

#[tokio::test]
async fn roles_and_kinds_bind() {
    let router = Router::start();
    let (mut viewer, _) = router.join("m", "viewer", Role::Viewer).await;
    viewer.say(r#"{"type":"connect","kind":"audio"}"#).await;
    assert!(matches!(viewer.hear().await, ServerMessage::Link { .. }));
    viewer.say(&message(json!({"type": "publish", "kind": "audio", "layers": [layer()]}))).await;
    assert_eq!(viewer.refusal().await, "not_allowed");

    let lifetime = Duration::from_secs(60);
    let only_audio = claims("dev", "m", "listener", Role::Attendee, &[Kind::Audio], lifetime);
    let mut listener = router.channel().await;
    listener.say(&join(&router.dev.signer().sign(&only_audio))).await;
    listener.joined().await;
    listener.say(r#"{"type":"connect","kind":"video"}"#).await;
    assert_eq!(listener.refusal().await, "not_allowed");
    router.daemon.stop().await;
}

#[tokio::test]
async fn an_oversized_message_closes_its_channel_and_no_other() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    let (mut bob, _) = router.join("m", "bob", Role::Host).await;
    let padding = |len: usize| Message::text("x".repeat(len));
    ada.socket.send(padding(CONTROL_MESSAGE_LEN_MAX)).await.unwrap();
    assert_eq!(ada.hear_until(as_error).await, "bad_message");
    // The daemon may close before all of it is written.
    let _ = ada.socket.send(padding(CONTROL_MESSAGE_LEN_MAX + 1)).await;
    assert_eq!(ada.hear_until(as_error).await, "bad_message");
    assert_eq!(ada.closed().await.unwrap().code, CloseCode::Size, "one byte too many");

    // In fragments, each small enough alone.
    let (mut eve, _) = router.join("m", "eve", Role::Host).await;
    send_fragments(&mut eve, 5, CONTROL_MESSAGE_LEN_MAX / 4).await;
    assert_eq!(eve.hear_until(as_error).await, "bad_message");
    assert_eq!(eve.closed().await.unwrap().code, CloseCode::Size);

    bob.say(r#"{"type":"connect","kind":"audio"}"#).await;
    bob.hear_until(|heard| matches!(heard, ServerMessage::Link { .. }).then_some(())).await;
    let stats = async || router.daemon.stats().await.unwrap();
    wait_until(async || stats().await.control.closed.get("oversized") == Some(&2)).await;
    assert_eq!(stats().await.participants, 3, "who lost a channel may resume");
    router.daemon.stop().await;
}

fn as_error(message: ServerMessage) -> Option<String> {
    match message {
        ServerMessage::Error { code, .. } => Some(support::code_name(code)),
        _ => None,
    }
}

/// Frames of a message that never ends (RFC 6455 §5.4).
async fn send_fragments(channel: &mut Channel, count: usize, len: usize) {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    for index in 0..count {
        let code = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        let frame = Frame::message(vec![b'x'; len], code, false);
        if channel.socket.send(Message::Frame(frame)).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_participant_whose_channel_dropped_resumes() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    let (mut bob, joined) = router.join("m", "bob", Role::Host).await;
    bob.say(r#"{"type":"connect","kind":"audio"}"#).await;
    assert!(matches!(bob.hear().await, ServerMessage::Link { .. }));
    bob.say(&message(json!({"type": "publish", "kind": "audio", "layers": [layer()]}))).await;
    assert!(matches!(bob.hear().await, ServerMessage::Published { .. }));
    // Without a goodbye.
    drop(bob);

    let mut back = router.channel().await;
    let resume = |session: &str| message(json!({"type": "resume", "v": 1, "session": session}));
    back.say(&resume(&joined.session)).await;
    let again = back.joined().await;
    assert_eq!(again.roster, ["ada"]);
    assert_ne!(again.session, joined.session, "each secret is for one use");
    back.say(r#"{"type":"connect","kind":"video"}"#).await;
    back.hear_until(|heard| matches!(heard, ServerMessage::Link { .. }).then_some(())).await;

    let mut thief = router.channel().await;
    thief.say(&resume(&joined.session)).await;
    assert_eq!(thief.refusal().await, "unknown_session");

    // Nobody saw bob go, and his stream went on.
    ada.say(r#"{"type":"connect","kind":"content"}"#).await;
    let mut seen = Vec::new();
    loop {
        match ada.hear().await {
            ServerMessage::Link { .. } => break,
            other => seen.push(other),
        }
    }
    assert!(
        matches!(
            seen.as_slice(),
            [ServerMessage::ParticipantJoined { .. }, ServerMessage::StreamAdded { .. }]
        ),
        "{seen:?}"
    );
    router.daemon.stop().await;
}

#[tokio::test]
async fn only_websockets_at_control_are_served() {
    let router = Router::start();
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 "),
        ("GET /control HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "),
        ("POST /control HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 426 "),
        (
            "GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            "HTTP/1.1 404 ",
        ),
        ("\x16\x03\x01 this is no HTTP\r\n\r\n", "HTTP/1.1 400 "),
    ];
    for (request, status) in cases {
        let stream = TcpStream::connect(router.tls()).await.unwrap();
        let mut tls = tls(stream, &router.dev).await.unwrap();
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // An end without close_notify is an end as well.
        let _ = tls.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(status), "{request:?} was answered {answer:?}");
    }
    let refused = |stats: wire::stats::Stats| stats.control.refused.get("http").copied();
    wait_until(async || refused(router.daemon.stats().await.unwrap()) == Some(5)).await;
    router.daemon.stop().await;
}

#[tokio::test]
async fn channels_are_limited_in_total_and_per_address() {
    let router = Router::start_with(|config| {
        config.limits.channels_per_address = 2;
        config.limits.channels = 3;
    });
    let [v4, v6] = [0, 1].map(|at: usize| router.daemon.addresses().tls[at]);
    let open = async |address| {
        let stream = TcpStream::connect(address).await.unwrap();
        Channel::over(stream, &router.dev).await
    };
    let first = open(v4).await.unwrap();
    let _second = open(v4).await.unwrap();
    assert!(open(v4).await.is_err(), "the address has its two");
    let _third = open(v6).await.unwrap();
    assert!(open(v6).await.is_err(), "the router has its three");
    let refused = router.daemon.stats().await.unwrap().control.refused;
    assert_eq!((refused["address"], refused["total"]), (1, 1));
    drop(first);
    // Refused, and counted, until the daemon hears of the end.
    wait_until(async || open(v4).await.is_ok()).await;
    router.daemon.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_at_the_first_message_deadline() {
    let router = Router::start();
    let mut channel = router.channel().await;
    let opened = Instant::now();
    assert_eq!(channel.closed().await.unwrap().code, CloseCode::Policy);
    assert!((9..15).contains(&opened.elapsed().as_secs()), "{:?}", opened.elapsed());
    router.daemon.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_hurts_nobody_else() {
    let router = Router::start();
    let token = router.dev.token("m", "deaf", Role::Host);
    let deaf = Channel::open_narrow(router.tls(), &router.dev).await;
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    let (mut sink, _unread) = deaf.socket.split();
    // A request and its refusal, many times over: what the kernel can't hold waits in the daemon.
    let talk = tokio::spawn(async move {
        sink.send(Message::text(join(&token))).await.unwrap();
        let request = message(json!({"type": "unsubscribe", "stream": 1}));
        while sink.send(Message::text(request.as_str())).await.is_ok() {}
    });
    let closed_as_slow = async || {
        // Others are served all the while.
        let asked = Instant::now();
        ada.say(r#"{"type":"connect","kind":"audio"}"#).await;
        ada.hear_until(|heard| matches!(heard, ServerMessage::Link { .. }).then_some(())).await;
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        router.daemon.stats().await.unwrap().control.closed.get("slow") == Some(&1)
    };
    wait_until(closed_as_slow).await;
    talk.await.unwrap();
    router.daemon.stop().await;
}

#[tokio::test]
async fn ending_tells_every_channel() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    let addresses = router.daemon.addresses().clone();
    let ended = Instant::now();
    let (heard, ()) = tokio::join!(ada.hear_any(), router.daemon.stop());
    assert!(matches!(&heard, Heard::Closed(Some(_))), "{heard:?}");
    assert!(ended.elapsed() < Duration::from_secs(3));
    assert!(TcpStream::connect(addresses.tls[0]).await.is_err(), "nobody listens any more");
}

/// Looks every few milliseconds, for 30 s at most.
async fn wait_until(mut done: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "it did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
