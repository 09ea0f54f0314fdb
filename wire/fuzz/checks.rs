//! What every parser must keep, whatever bytes come: no panic, and what it took it also writes and
//! takes again. Shared by the fuzz targets (`cargo +nightly fuzz run stun`) and `cargo test`, which
//! replays the corpus.
#![allow(dead_code)] // Each target uses one of these.

use wire::control::{ClientMessage, ServerMessage};
use wire::limits::{NAME_LEN_MAX, PACKET_LEN_MAX, TOKEN_LIFETIME_S_MAX};
use wire::load::{Reply, Report};
use wire::srtp::{MasterKey, SessionKeys};
use wire::token::{Claims, Signer, Verifier};
use wire::{demux, framing, rtcp, rtp, stun};

/// Takes the fuzzer's bytes; panics when they break something.
pub(crate) type Check = fn(&[u8]);

/// Every target by its name, which is also that of its corpus folder.
pub(crate) const TARGETS: [(&str, Check); 12] = [
    ("claims", claims),
    ("control", control),
    ("demux", demux),
    ("framing", framing),
    ("jwks", jwks),
    ("pem", pem),
    ("report", report),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("srtp", srtp),
    ("stun", stun),
    ("token", token),
];

/// A JWKS with the public key of RFC 8037 §A.2.
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The private key of RFC 8410 §10.3.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

/// Unix seconds: when tokens are shown here.
const NOW_S: u64 = 1_800_000_000;

/// What lies behind a token's signature, which no fuzzer gets past: signed here.
pub(crate) fn claims(bytes: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else { return };
    let signer = Signer::from_pem(PEM).expect("a key");
    let verifier = Verifier::from_jwks("dev", &signer.public_jwks()).expect("its public key");
    if let Ok(verified) = verifier.verify(&signer.sign(&claims), NOW_S) {
        assert_eq!(verified, claims);
        assert_eq!(claims.aud, "dev");
        assert!((1..=NAME_LEN_MAX).contains(&claims.meeting.len()));
        assert!(claims.exp - claims.iat <= TOKEN_LIFETIME_S_MAX);
    }
}

pub(crate) fn control(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<ClientMessage>(bytes) {
        let text = serde_json::to_string(&message).expect("messages are JSON");
        assert_eq!(serde_json::from_str::<ClientMessage>(&text).ok(), Some(message));
    }
    if let Ok(message) = serde_json::from_slice::<ServerMessage>(bytes) {
        let text = serde_json::to_string(&message).expect("messages are JSON");
        assert_eq!(serde_json::from_str::<ServerMessage>(&text).ok(), Some(message));
    }
}

pub(crate) fn demux(bytes: &[u8]) {
    let class = demux::classify(bytes);
    // What a parser takes, the classes send its way.
    if rtp::Packet::parse(bytes).is_ok() {
        assert!(matches!(class, Some(demux::Class::Rtp | demux::Class::Rtcp)));
    }
    if stun::BindingRequest::parse(bytes).is_ok() {
        assert_eq!(class, Some(demux::Class::Stun));
    }
}

/// Whole, and in pieces whose size the first byte gives: the same packets.
pub(crate) fn framing(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let receive = |size: usize| {
        let (mut deframer, mut packets) = (framing::Deframer::default(), Vec::new());
        let end = stream
            .chunks(size)
            .try_for_each(|piece| deframer.receive(piece, |packet| packets.push(packet.to_vec())));
        assert!(deframer.held() <= PACKET_LEN_MAX + 2);
        (packets, end)
    };
    let (packets, end) = receive(stream.len().max(1));
    assert_eq!(receive(usize::from(*size).max(1)), (packets.clone(), end));
    assert!(packets.iter().all(|packet| (1..=PACKET_LEN_MAX).contains(&packet.len())));
}

pub(crate) fn jwks(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Verifier::from_jwks("dev", text);
    }
}

pub(crate) fn pem(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(signer) = Signer::from_pem(text) else { return };
    let again = Signer::from_pem(&signer.private_pem()).expect("what was written can be read");
    assert_eq!(again.public_jwks(), signer.public_jwks());
}

pub(crate) fn report(bytes: &[u8]) {
    if let Ok(report) = Report::parse(bytes) {
        let text = serde_json::to_vec(&report).expect("reports are JSON");
        assert_eq!(Report::parse(&text).ok(), Some(report));
    }
    if let Ok(reply) = Reply::parse(bytes) {
        let text = serde_json::to_vec(&reply).expect("replies are JSON");
        assert_eq!(Reply::parse(&text).ok(), Some(reply));
    }
}

pub(crate) fn rtcp(bytes: &[u8]) {
    let mut said = 0;
    match rtcp::parse(bytes, |_| said += 1) {
        Ok(()) => assert!(said <= bytes.len() / 4),
        Err(_) => assert_eq!(said, 0, "nothing is said of a malformed compound"),
    }
    let _ = rtcp::sender_ssrc(bytes);
}

pub(crate) fn rtp(bytes: &[u8]) {
    let Ok(packet) = rtp::Packet::parse(bytes) else { return };
    assert!(packet.header_len() >= 12 && packet.header_len() <= bytes.len());
    if let Ok(payload) = packet.payload() {
        assert!(payload.len() <= bytes.len() - packet.header_len());
    }
    let header = rtp::Header {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        seq: packet.seq().0,
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc().0,
        audio_level: packet.audio_level(),
        frame_marking: packet.frame_marking(),
        capture_time: packet.capture_time(),
    };
    let mut again = Vec::new();
    header.write(&mut again);
    let again = rtp::Packet::parse(&again).expect("what was written can be read");
    assert_eq!(again.audio_level(), header.audio_level);
    assert_eq!(again.frame_marking(), header.frame_marking);
    assert_eq!(again.capture_time(), header.capture_time);
}

pub(crate) fn srtp(bytes: &[u8]) {
    let keys = SessionKeys::derive(&MasterKey { key: [1; 16], salt: [2; 12] });
    let _ = keys.unprotect_rtp(0, &mut bytes.to_vec());
    let _ = keys.unprotect_rtcp(&mut bytes.to_vec());
    let mut packet = [bytes, &[0; 20]].concat();
    if let Ok(len) = keys.protect_rtp(7, &mut packet, bytes.len()) {
        assert_eq!(keys.unprotect_rtp(7, &mut packet[..len]), Ok(bytes.len()));
        assert_eq!(&packet[..bytes.len()], bytes);
    }
}

pub(crate) fn stun(bytes: &[u8]) {
    let _ = stun::parse_success(bytes, "password");
    let Ok(request) = stun::BindingRequest::parse(bytes) else { return };
    let _ = request.is_authentic("password");
    let mapped = "[2001:db8::1]:4000".parse().expect("an address");
    let mut out = [0; 128];
    if let Some(len) = request.write_success(mapped, "password", &mut out) {
        assert!(len <= bytes.len(), "an answer is never larger than its request");
        let answer = stun::parse_success(&out[..len], "password");
        assert_eq!(answer, Ok((request.transaction, mapped)));
    }
}

pub(crate) fn token(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let verifier = Verifier::from_jwks("dev", JWKS).expect("a key");
        // Nobody can sign for this key: whoever passes has broken the check.
        assert!(verifier.verify(text, NOW_S).is_err());
    }
}
