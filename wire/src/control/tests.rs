//! What is taken from clients and what is not; what logs never show.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::srtp::MasterKey;
use proptest::prelude::*;

/// Base64 of 28 zero bytes.
const ZERO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

fn read(text: &str) -> Result<ClientMessage, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn publish(key: &str) -> String {
    format!(
        r#"{{"type":"publish","kind":"audio","layers":[{{"codec":"opus","payload_type":111,
            "max_bitrate":64000,"key":"{key}"}}]}}"#
    )
}

#[test]
fn reads_a_message() {
    let layer = LayerOffer {
        codec: Codec::Opus,
        payload_type: 111,
        max_bitrate: Bitrate(64_000),
        key: Key(MasterKey { key: [0; 16], salt: [0; 12] }),
    };
    let expected = ClientMessage::Publish { kind: Kind::Audio, layers: vec![layer] };
    assert_eq!(read(&publish(ZERO_KEY)), Ok(expected));
}

#[test]
fn refuses_what_it_does_not_know() {
    for text in [
        "",
        "null",
        "[]",
        r#""leave""#,
        r"{}",
        r#"{"type":"dance"}"#,
        r#"{"type":"connect"}"#,
        r#"{"type":"connect","kind":"smell"}"#,
        r#"{"type":"connect","kind":"audio","colour":1}"#,
        r#"{"type":"connect","kind":"audio","kind":"audio"}"#,
        r#"{"type":"subscribe","stream":-1,"max_layer":0}"#,
        r#"{"type":"subscribe","stream":1,"max_layer":256}"#,
        r#"{"type":"subscribe","stream":4294967296,"max_layer":0}"#,
        r#"{"type":"leave"} {"type":"leave"}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

/// A variant without fields takes any (serde's way), which hurts nobody who wants to go.
#[test]
fn leaving_is_never_refused() {
    assert_eq!(read(r#"{"type":"leave","colour":1}"#), Ok(ClientMessage::Leave));
}

#[test]
fn a_key_has_28_bytes_in_padded_base64() {
    let long = ZERO_KEY.repeat(1000);
    for key in [
        "",
        "AAAA",
        &ZERO_KEY[..38],
        &ZERO_KEY.replace('A', "-"),
        &ZERO_KEY[4..],
        &format!("AAAA{ZERO_KEY}"),
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB==",
        &long,
    ] {
        let error = read(&publish(key)).unwrap_err();
        assert!(error.starts_with("a key is base64 of 28 bytes"), "{key}: {error}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let key = Key(MasterKey { key: [0xa5; 16], salt: [0x5a; 12] });
    let shown = [
        format!("{:?}", ClientMessage::Join { v: 1, token: "hunter2".into() }),
        format!("{:?}", ClientMessage::Resume { v: 1, session: "hunter2".into() }),
        format!(
            "{:?}",
            ServerMessage::Link {
                kind: Kind::Audio,
                ufrag: "public".into(),
                password: "hunter2".into(),
                srtcp_keys: SrtcpKeys { client: key.clone(), mmr: key },
                addresses: Addresses::default(),
            }
        ),
    ];
    for text in shown {
        // The key in decimal, in hex, and in base64.
        let secrets = ["hunter2", "165", "a5", "paWl"];
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

proptest! {
    #[test]
    fn every_key_comes_back(key: [u8; 16], salt: [u8; 12]) {
        let key = Key(MasterKey { key, salt });
        let text = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(text.len(), 42);
        prop_assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key);
    }

    #[test]
    fn no_text_makes_it_panic(text: String, kind in "[a-z_]{0,12}", field in "[a-z_]{0,8}") {
        let _ = read(&text);
        let _ = read(&format!(r#"{{"type":"{kind}","{field}":{text}}}"#));
        let _ = serde_json::from_str::<ServerMessage>(&text);
    }
}
