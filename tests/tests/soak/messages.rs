//! Control messages that are none, or too large, and tokens nobody may join with: over real TLS.

use crate::siege::Siege;
use crate::websocket::Channel;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mmr::dev::{Dev, claims};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tests::process::Process;
use tests::raw::tls_config;
use tests::venue::Venue;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wire::Kind;
use wire::control::ALPN_CONTROL;
use wire::limits::{CONTROL_MESSAGE_LEN_MAX, TOKEN_LEN_MAX};
use wire::token::{Claims, Role, Signer};

/// Attackers at once.
const ATTACKERS: u64 = 4;
/// A channel may ask so much at once, less its join and leave; then it is slowed down.
const BURST: u64 = 4_000;

pub(crate) fn malformed(count: u64) {
    let siege = Siege::lay();
    let messages = [
        Message::text("not JSON"),
        Message::text("{}"),
        Message::text("[".repeat(5_000)),
        Message::text(r#"{"type":"jion"}"#),
        Message::text(r#"{"type":"connect","kind":"smell"}"#),
        Message::text(r#"{"type":"resume","v":1,"session":"x"}"#),
        Message::text(r#"{"type":"join","v":1,"token":"again"}"#),
        Message::text(r#"{"type":"publish","kind":"audio","layers":[]}"#),
        Message::text(r#"{"type":"subscribe","stream":7,"max_layer":0}"#),
        Message::binary(vec![0; 100]),
    ];
    let strike = |process: &Process, count| {
        let (tls, dev) = (process.tls(), &process.venue.dev);
        together(&process.venue, count, |config, attacker, count| {
            for begun in (0..count).step_by(usize::try_from(BURST).unwrap()) {
                let mut channel = Channel::open(tls, config);
                channel.join(&dev.token("elsewhere", &attacker, Role::Host));
                channel.wait_for("joined");
                say(&mut channel, &messages, BURST.min(count - begun));
                channel.socket.send(Message::text(r#"{"type":"leave"}"#)).unwrap();
                channel.wait_for_end();
            }
        });
    };
    siege.bear("malformed control messages", count, strike, |stats| {
        stats.control.errors.values().sum()
    });
}

/// Says all of them in turn, and hears as many errors.
fn say(channel: &mut Channel, messages: &[Message], count: u64) {
    let mut said = 0;
    let mut turn = messages.iter().cycle();
    while said < count {
        let batch = 50.min(count - said);
        for message in turn.by_ref().take(usize::try_from(batch).unwrap()) {
            channel.socket.write(message.clone()).unwrap();
        }
        channel.socket.flush().unwrap();
        (0..batch).for_each(|_| channel.wait_for("error"));
        said += batch;
    }
}

pub(crate) fn oversized(count: u64) {
    let siege = Siege::lay();
    let strike = |process: &Process, count| {
        let tls = process.tls();
        together(&process.venue, count, |config, _, count| {
            for number in 0..count {
                let mut channel = Channel::open(tls, config);
                // In one frame, or in fragments each small enough alone (RFC 6455 §5.4).
                let lens: &[usize] = if number % 2 == 0 {
                    &[CONTROL_MESSAGE_LEN_MAX + 1]
                } else {
                    &[CONTROL_MESSAGE_LEN_MAX, 1]
                };
                for (index, len) in lens.iter().enumerate() {
                    let data = if index == 0 { Data::Text } else { Data::Continue };
                    let frame = Frame::message(vec![b'x'; *len], OpCode::Data(data), false);
                    // The daemon may close before all of it is written.
                    let _ = channel.socket.send(Message::Frame(frame));
                }
                channel.wait_for_end();
            }
        });
    };
    siege.bear("oversized control messages", count, strike, |stats| {
        stats.control.closed.get("oversized").copied().unwrap_or(0)
    });
}

pub(crate) fn bad_tokens(count: u64) {
    let siege = Siege::lay();
    let strike = |process: &Process, count| {
        let (tls, dev) = (process.tls(), &process.venue.dev);
        together(&process.venue, count, |config, attacker, count| {
            let used = dev.token("elsewhere", &attacker, Role::Host);
            let mut first = Channel::open(tls, config);
            first.join(&used);
            first.wait_for("joined");
            first.socket.send(Message::text(r#"{"type":"leave"}"#)).unwrap();
            first.wait_for_end();
            let bad = tokens(dev, used);
            for token in bad.iter().cycle().take(usize::try_from(count).unwrap()) {
                let mut channel = Channel::open(tls, config);
                channel.join(token);
                channel.wait_for("error");
                channel.wait_for_end();
            }
        });
    };
    siege.bear("bad tokens", count, strike, |stats| {
        let codes = ["bad_token", "token_expired", "token_used"];
        codes.iter().filter_map(|code| stats.control.errors.get(*code)).sum()
    });
}

/// Expired, forged, unsigned, for elsewhere, too long, used.
fn tokens(dev: &Dev, used: String) -> Vec<String> {
    let lifetime = Duration::from_secs(60);
    let good = || claims("dev", "elsewhere", "mallory", Role::Host, &Kind::ALL, lifetime);
    let sign = |claims: &Claims| dev.signer().sign(claims);
    let now = good().iat;
    let part = |token: &str, at: usize| token.split('.').nth(at).unwrap().to_owned();
    let genuine = sign(&good());
    let foreign = Signer::generate().sign(&good());
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    vec![
        sign(&Claims { iat: now - 120, exp: now - 60, ..good() }),
        // The stranger's signature under the right kid.
        format!("{}.{}.{}", part(&genuine, 0), part(&foreign, 1), part(&foreign, 2)),
        format!("{none}.{}.", part(&genuine, 1)),
        used,
        foreign,
        sign(&Claims { aud: "other".to_owned(), ..good() }),
        "x".repeat(TOKEN_LEN_MAX + 1),
    ]
}

/// All attackers, each with its name and its share of `count`.
fn together(venue: &Venue, count: u64, attack: impl Fn(&Arc<ClientConfig>, String, u64) + Sync) {
    let config = Arc::new(tls_config(venue.dev.ca_pem(), ALPN_CONTROL));
    std::thread::scope(|scope| {
        for attacker in 0..ATTACKERS {
            let share = count * (attacker + 1) / ATTACKERS - count * attacker / ATTACKERS;
            let (config, attack) = (&config, &attack);
            scope.spawn(move || attack(config, format!("mallory-{attacker}"), share));
        }
    });
}
