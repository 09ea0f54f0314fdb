//! Keeps docs/protocol.md true: its JSON is read by the types, its worked example is made here.
//! `UPDATE_PROTOCOL=1 cargo test -p wire document` writes the example anew.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use crate::control::{ClientMessage, ServerMessage};
use crate::srtp::{MasterKey, RTCP_OVERHEAD, RTP_OVERHEAD, SessionKeys, session_bytes};
use crate::stun::{BindingRequest, TransactionId, write_request};
use crate::token::Claims;
use crate::{Seq, Ssrc, limits, lookup, mark, rtcp, rtp, zone};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

const BEGIN: &str = "<!-- begin: made by wire/src/document.rs -->\n";
const END: &str = "<!-- end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md")
}

fn document() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// The JSON blocks of one sort, by the word behind the fence.
fn examples(document: &str, sort: &str) -> Vec<String> {
    let fence = format!("```json {sort}\n");
    let blocks = document.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Reads every example as `T`, and wants it to be written the same: no field missing, none too
/// many.
fn check<T: Serialize + DeserializeOwned>(document: &str, sort: &str) -> Vec<Value> {
    let mut values = Vec::new();
    for example in examples(document, sort) {
        let value: Value = serde_json::from_str(&example).unwrap();
        let message: T = serde_json::from_str(&example)
            .unwrap_or_else(|error| panic!("{sort} can't read: {error}\n{example}"));
        assert_eq!(serde_json::to_value(message).unwrap(), value, "{example}");
        values.push(value);
    }
    values
}

/// The values of `const` under `key`, anywhere in a schema.
fn names<T: JsonSchema>(of: &str) -> Vec<String> {
    let schema = serde_json::to_value(schema_for!(T)).unwrap();
    let alternatives = schema.pointer(of).and_then(Value::as_array).unwrap();
    let name = |alternative: &Value| {
        let name = alternative.pointer("/properties/type/const").or(alternative.get("const"));
        name.and_then(Value::as_str).unwrap().to_owned()
    };
    alternatives.iter().map(name).collect()
}

#[test]
fn the_examples_are_messages_and_every_message_has_one() {
    let document = document();
    let told = |values: &[Value], name: &str| values.iter().any(|value| value["type"] == name);
    let client = check::<ClientMessage>(&document, "client");
    for name in names::<ClientMessage>("/oneOf") {
        assert!(told(&client, &name), "no example of the client's {name}");
    }
    let server = check::<ServerMessage>(&document, "server");
    for name in names::<ServerMessage>("/oneOf") {
        assert!(told(&server, &name), "no example of the MMR's {name}");
    }
    assert_eq!(check::<Claims>(&document, "claims").len(), 1);
}

#[test]
fn the_way_to_an_mmr_is_told_as_it_is_spoken() {
    let document = document();
    assert_eq!(check::<lookup::Lookup>(&document, "lookup").len(), 1);
    assert_eq!(check::<lookup::Found>(&document, "found").len(), 1);
    assert_eq!(check::<lookup::Settled>(&document, "settled").len(), 1);
    assert_eq!(check::<zone::Pong>(&document, "pong").len(), 1);
    assert_eq!(check::<zone::Assign>(&document, "assign").len(), 1);
    assert_eq!(check::<zone::Assignment>(&document, "assignment").len(), 1);
    for path in [lookup::LOOKUP_PATH, lookup::SETTLE_PATH, zone::ASSIGN_PATH, zone::PING_PATH] {
        assert!(document.contains(&format!(" {path}`")), "nothing about {path}");
    }
}

#[test]
fn every_error_code_is_told() {
    let document = document();
    for code in names::<ServerMessage>("/$defs/ErrorCode/oneOf") {
        assert!(document.contains(&format!("\n| `{code}` |")), "nothing about {code}");
    }
}

#[test]
fn the_tables_have_the_limits_and_marks_of_the_code() {
    let document = document();
    let [packet, stun] = [limits::PACKET_LEN_MAX, limits::STUN_LEN_MAX];
    let [token, lifetime] = [limits::TOKEN_LEN_MAX as u64, limits::TOKEN_LIFETIME_S_MAX];
    let marks = |marks: mark::Marks| {
        let [audio, video, content, control] =
            [marks.audio, marks.video, marks.content, marks.control].map(mark::Dscp::value);
        format!("| {audio} | {video} | {content} | {control} |")
    };
    for row in [
        format!("| RTP, RTCP or STUN packet | {packet} bytes |"),
        format!("| STUN message | {stun} bytes |"),
        format!("| control message | {} bytes |", limits::CONTROL_MESSAGE_LEN_MAX),
        format!("| join token | {token} bytes, {lifetime} s |"),
        format!("| name in a token | {} bytes |", limits::NAME_LEN_MAX),
        format!("| layers of a stream | {} |", limits::LAYERS_MAX),
        marks(mark::Marks::DEFAULT)
            .replace("46", "46 (EF)")
            .replace("36", "36 (AF42)")
            .replace("24", "24 (CS3)"),
        format!("| `zoom` {}", marks(mark::Marks::ZOOM)),
        format!("| `off` {}", marks(mark::Marks::OFF)),
    ] {
        assert!(document.contains(&row), "no row {row:?}");
    }
}

#[test]
fn the_worked_example_is_what_the_code_does() {
    let document = document();
    let (front, rest) = document.split_once(BEGIN).unwrap();
    let (written, behind) = rest.split_once(END).unwrap();
    let made = worked_example(&document);
    if std::env::var_os("UPDATE_PROTOCOL").is_some() {
        std::fs::write(path(), [front, BEGIN, &made, END, behind].concat()).unwrap();
        return;
    }
    assert!(
        written == made,
        "`UPDATE_PROTOCOL=1 cargo test -p wire document` writes the example anew; it is\n{made}"
    );
}

fn worked_example(document: &str) -> String {
    let messages = examples(document, "server").into_iter();
    let mut messages = messages.map(|text| serde_json::from_str::<ServerMessage>(&text).unwrap());
    let link = messages.find_map(|message| match message {
        ServerMessage::Link { ufrag, password, srtcp_keys, .. } => {
            Some((ufrag, password, srtcp_keys.client.0))
        }
        _ => None,
    });
    let (ufrag, password, client) = link.unwrap();
    let layer = messages.find_map(|message| match message {
        ServerMessage::StreamAdded { layers, .. } => layers.into_iter().next(),
        _ => None,
    });
    let layer = layer.unwrap();
    let mut out = String::from("\n");
    stun_example(&ufrag, &password, &mut out);
    srtcp_example(&client, layer.ssrc, &mut out);
    srtp_example(&layer.key.0, layer.ssrc, &mut out);
    out
}

fn stun_example(ufrag: &str, password: &str, out: &mut String) {
    let transaction = TransactionId(std::array::from_fn(|i| u8::try_from(i).unwrap()));
    let mut request = Vec::new();
    write_request(transaction, ufrag, "client01", password, &mut request);
    let mut answer = [0; 128];
    let mapped = "192.0.2.7:50000".parse().unwrap();
    let parsed = BindingRequest::parse(&request).unwrap();
    let len = parsed.write_success(mapped, password, &mut answer).unwrap();
    for (name, message) in [("STUN check", &request[..]), ("Its answer", &answer[..len])] {
        writeln!(out, "**{name}**, {} bytes:\n\n```", message.len()).unwrap();
        writeln!(out, "{:17} {}", "header", hex(&message[..20])).unwrap();
        let mut rest = &message[20..];
        while let Some([high, low, _, len]) = rest.first_chunk() {
            let padded = 4 + usize::from(*len).next_multiple_of(4);
            let name = attribute_name(u16::from_be_bytes([*high, *low]));
            writeln!(out, "{name:17} {}", hex(&rest[..padded])).unwrap();
            rest = &rest[padded..];
        }
        out.push_str("```\n\n");
    }
}

fn attribute_name(kind: u16) -> &'static str {
    match kind {
        0x0006 => "USERNAME",
        0x0008 => "MESSAGE-INTEGRITY",
        0x0020 => "XOR-MAPPED-ADDR.",
        0x0024 => "PRIORITY",
        0x0025 => "USE-CANDIDATE",
        0x8028 => "FINGERPRINT",
        0x802a => "ICE-CONTROLLING",
        _ => unreachable!("no check of ours has another"),
    }
}

fn srtcp_example(master: &MasterKey, media: Ssrc, out: &mut String) {
    let mut packet = [0; 200];
    let len =
        rtcp::write_nack(Ssrc(0x0001_2345), media, &[(Seq(1000), 0b101)], &mut packet).unwrap();
    let (plain, salt) = (packet[..len].to_vec(), session_bytes::<12>(master, 5));
    let sealed_len = SessionKeys::derive(master).protect_rtcp(1, &mut packet, len).unwrap();
    assert_eq!(sealed_len, len + RTCP_OVERHEAD);
    let sealed = &packet[..sealed_len];
    // Put together here by the rules as the page tells them, not by the code that protects.
    let nonce = [&[0, 0], &plain[4..8], &[0, 0], &[0, 0, 0, 1]].concat();
    let aad = [&plain[..8], &sealed[sealed_len - 4..]].concat();
    section(
        out,
        "SRTCP, a NACK with index 1",
        &[
            ("master key", &master.key),
            ("master salt", &master.salt),
            ("session key (3)", &session_bytes::<16>(master, 3)),
            ("session salt (5)", &salt),
            ("compound", &plain),
            ("nonce", &xor(&nonce, &salt)),
            ("associated data", &aad),
            ("packet", sealed),
        ],
    );
}

fn srtp_example(master: &MasterKey, ssrc: Ssrc, out: &mut String) {
    let seq = u16::try_from(ssrc.0 & 0x7fff).unwrap();
    let marking =
        rtp::FrameMarking { start: true, end: true, independent: true, discardable: false };
    let header = rtp::Header {
        marker: true,
        payload_type: 96,
        seq,
        timestamp: 90_000,
        ssrc: ssrc.0,
        frame_marking: Some(marking),
        ..rtp::Header::default()
    };
    let mut plain = Vec::new();
    header.write(&mut plain);
    let header_len = plain.len();
    plain.extend_from_slice(b"payload");
    let salt = session_bytes::<12>(master, 2);
    let mut packet = [&plain[..], &[0; RTP_OVERHEAD]].concat();
    SessionKeys::derive(master).protect_rtp(0, &mut packet, plain.len()).unwrap();
    let nonce =
        [&[0, 0], &ssrc.0.to_be_bytes()[..], &[0, 0, 0, 0], &seq.to_be_bytes()[..]].concat();
    section(
        out,
        "SRTP, the first packet of a layer, a keyframe of seven bytes, ROC 0",
        &[
            ("master key", &master.key),
            ("master salt", &master.salt),
            ("session key (0)", &session_bytes::<16>(master, 0)),
            ("session salt (2)", &salt),
            ("RTP packet", &plain),
            ("nonce", &xor(&nonce, &salt)),
            ("associated data", &plain[..header_len]),
            ("packet", &packet),
        ],
    );
}

fn section(out: &mut String, title: &str, lines: &[(&str, &[u8])]) {
    writeln!(out, "**{title}**:\n\n```").unwrap();
    for (name, bytes) in lines {
        // Wide packets go on below their beginning.
        let wrapped: Vec<String> = bytes.chunks(32).map(hex).collect();
        writeln!(out, "{name:17} {}", wrapped.join(&format!("\n{:18}", ""))).unwrap();
    }
    out.push_str("```\n\n");
}

fn hex(bytes: &[u8]) -> String {
    let words = bytes.chunks(4).map(|word| {
        word.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

fn xor(bytes: &[u8], with: &[u8]) -> Vec<u8> {
    bytes.iter().zip(with).map(|(byte, with)| byte ^ with).collect()
}
