//! Vectors of RFC 5769; what is never answered; what is never larger than its request.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 5769 §2: the password of all three messages.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
/// RFC 5769 §2.1. The padding of USERNAME is spaces there, not zeros.
const REQUEST: [u8; 108] = *b"\x00\x01\x00\x58\x21\x12\xa4\x42\
    \xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\
    \xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";
/// RFC 5769 §2.2.
const RESPONSE_V4: [u8; 80] = *b"\x01\x01\x00\x3c\x21\x12\xa4\x42\
    \xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\
    \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
    \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\
    \x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
    \x80\x28\x00\x04\xc0\x7d\x4c\x96";
/// RFC 5769 §2.3.
const RESPONSE_V6: [u8; 92] = *b"\x01\x01\x00\x48\x21\x12\xa4\x42\
    \xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\
    \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\
    \xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
    \x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\
    \x82\x92\xc2\x75\xbf\xe3\xed\x41\
    \x80\x28\x00\x04\xc8\xfb\x0b\x4c";

fn request(mmr: &str, own: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_request(TRANSACTION, mmr, own, PASSWORD, &mut out);
    out
}

/// Puts a right FINGERPRINT where the old one was, and the right length in front, as a forger
/// would.
fn forge(mut message: Vec<u8>) -> Vec<u8> {
    let front = message.len() - FINGERPRINT_LEN;
    let len = u16::try_from(message.len() - 20).unwrap();
    message[2..4].copy_from_slice(&len.to_be_bytes());
    let crc = u32::from_be_bytes(Fingerprint::compute(&[&message[..front]])) ^ FINGERPRINT_XOR;
    message[front + 4..].copy_from_slice(&crc.to_be_bytes());
    message
}

#[test]
fn takes_the_request_of_rfc5769() {
    let request = BindingRequest::parse(&REQUEST).unwrap();
    assert_eq!((request.ufrag, request.peer_ufrag), ("evtj", "h6vY"));
    assert_eq!(request.transaction, TRANSACTION);
    assert!(request.is_authentic(PASSWORD));
    assert!(!request.is_authentic("VOkJxbRl1RmTxUk/WvJxBT"));
    assert!(!request.is_authentic(""));
}

#[test]
fn takes_the_ipv4_response_of_rfc5769() {
    let expected = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 32_853));
    assert_eq!(parse_success(&RESPONSE_V4, PASSWORD), Ok((TRANSACTION, expected)));
    assert_eq!(parse_success(&RESPONSE_V4, "wrong"), Err(Malformed));
}

#[test]
fn takes_the_ipv6_response_of_rfc5769() {
    let address: Ipv6Addr = "2001:db8:1234:5678:11:2233:4455:6677".parse().unwrap();
    let expected = SocketAddr::from((address, 32_853));
    assert_eq!(parse_success(&RESPONSE_V6, PASSWORD), Ok((TRANSACTION, expected)));
}

#[test]
fn a_check_and_its_answer_understand_each_other() {
    let bytes = request("mmrufrag", "abcd");
    let request = BindingRequest::parse(&bytes).unwrap();
    assert_eq!((request.ufrag, request.peer_ufrag), ("mmrufrag", "abcd"));
    assert!(request.is_authentic(PASSWORD));
    for mapped in ["192.0.2.7:5004", "[2001:db8::9]:65535"] {
        let mapped: SocketAddr = mapped.parse().unwrap();
        let mut out = [0xff; 128];
        let len = request.write_success(mapped, PASSWORD, &mut out).unwrap();
        assert!(len <= bytes.len(), "an answer is never larger than its request");
        assert_eq!(parse_success(&out[..len], PASSWORD), Ok((TRANSACTION, mapped)));
        assert_eq!(request.write_success(mapped, PASSWORD, &mut out[..len - 1]), None);
    }
}

#[test]
fn the_whole_parser_of_stun_types_agrees() {
    use stun_types::message::{MessageIntegrityCredentials, ShortTermCredentials};
    let credentials: MessageIntegrityCredentials =
        ShortTermCredentials::new(PASSWORD.to_owned()).into();
    let bytes = request("mmrufrag", "abcd");
    let message = Message::from_bytes(&bytes).unwrap();
    assert!(message.validate_integrity(&credentials).is_ok());
    let mut out = [0; 128];
    let mapped = "[2001:db8::9]:65535".parse().unwrap();
    let parsed = BindingRequest::parse(&bytes).unwrap();
    let len = parsed.write_success(mapped, PASSWORD, &mut out).unwrap();
    let message = Message::from_bytes(&out[..len]).unwrap();
    assert!(message.validate_integrity(&credentials).is_ok());
}

#[test]
fn the_shortest_check_is_larger_than_any_answer() {
    let bytes = request("mmrufrag", "abcd");
    let largest = 20 + 24 + SEAL_LEN;
    assert!(bytes.len() >= largest, "{} against {largest}", bytes.len());
}

#[test]
fn a_request_smaller_than_its_answer_gets_none() {
    // Only USERNAME: 20 + 8 + 32 bytes, while the answer takes 76 over IPv6 and 64 over IPv4.
    let mut bytes = request("a", "b");
    bytes.drain(28..bytes.len() - SEAL_LEN);
    let bytes = forge(bytes);
    let request = BindingRequest::parse(&bytes).unwrap();
    let mut out = [0; 128];
    assert_eq!(request.write_success("[::1]:1".parse().unwrap(), PASSWORD, &mut out), None);
    assert_eq!(request.write_success("127.0.0.1:1".parse().unwrap(), PASSWORD, &mut out), None);
}

#[test]
fn no_request_without_its_parts_is_taken() {
    let good = request("mmrufrag", "abcd");
    let seal = good.len() - SEAL_LEN;
    let no_username = [&good[..20], &good[seal - 24..]].concat();
    let no_integrity = [&good[..seal], &good[seal + INTEGRITY_LEN..]].concat();
    let no_fingerprint = good[..good.len() - FINGERPRINT_LEN].to_vec();
    let mut integrity_elsewhere = good.clone();
    integrity_elsewhere[seal] = 0x80;
    let mut no_colon = good.clone();
    no_colon[24 + 8] = b'-';
    let mut not_text = good.clone();
    not_text[24] = 0xff;
    let mut response = good.clone();
    response[0] = 1;
    let mut must_be_understood = good.clone();
    must_be_understood[seal - 4..seal - 2].copy_from_slice(&[0x00, 0x77]);
    let mut too_long = good.clone();
    too_long.splice(seal..seal, [&[0x80, 0x22, 0x01, 0xe0][..], &[0; 480]].concat());
    for (what, message) in [
        ("no USERNAME", no_username),
        ("no MESSAGE-INTEGRITY", no_integrity),
        ("MESSAGE-INTEGRITY under another type", integrity_elsewhere),
        ("no colon", no_colon),
        ("USERNAME not UTF-8", not_text),
        ("a response", response),
        ("an attribute that must be understood", must_be_understood),
        ("over STUN_LEN_MAX", too_long),
    ] {
        assert!(BindingRequest::parse(&forge(message)).is_err(), "{what}");
    }
    assert!(BindingRequest::parse(&no_fingerprint).is_err());
    assert!(BindingRequest::parse(&forge(good)).is_ok(), "forging itself is not what is refused");
}

#[test]
fn nothing_may_follow_the_fingerprint() {
    let mut bytes = REQUEST.to_vec();
    bytes.extend_from_slice(&[0x80, 0x22, 0, 0]);
    assert!(BindingRequest::parse(&bytes).is_err(), "behind the length");
    bytes[3] += 4;
    assert!(BindingRequest::parse(&bytes).is_err(), "within the length");
}

proptest! {
    #[test]
    fn every_flipped_bit_is_found(bit in 0..REQUEST.len() * 8) {
        let mut bytes = REQUEST;
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(BindingRequest::parse(&bytes).is_err());
    }

    #[test]
    fn a_forger_who_mends_the_fingerprint_is_found(bit in 0..(REQUEST.len() - 8) * 8) {
        let mut bytes = REQUEST;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let bytes = forge(bytes.to_vec());
        if bytes != REQUEST {
            let authentic = BindingRequest::parse(&bytes).map(|r| r.is_authentic(PASSWORD));
            prop_assert!(!authentic.unwrap_or(false));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = BindingRequest::parse(&bytes);
        let _ = parse_success(&bytes, PASSWORD);
    }

    #[test]
    fn no_sealed_bytes_make_it_panic(attributes in prop::collection::vec(any::<u8>(), 0..200)) {
        let head = [&b"\x00\x01\x00\x00\x21\x12\xa4\x42"[..], &[0; 12]].concat();
        let integrity = [&[0x00, 0x08, 0x00, 0x14][..], &[0; 20]].concat();
        let fingerprint = [0x80, 0x28, 0x00, 0x04, 0, 0, 0, 0];
        let bytes = forge([&head[..], &attributes, &integrity, &fingerprint].concat());
        if let Ok(request) = BindingRequest::parse(&bytes) {
            prop_assert!(!request.is_authentic(PASSWORD));
        }
    }

    #[test]
    fn every_check_comes_back(
        transaction: [u8; 12], mmr in "[a-zA-Z0-9+/]{4,32}", own in "[a-zA-Z0-9+/]{4,32}",
        password in "[a-zA-Z0-9+/]{22,64}",
    ) {
        let mut bytes = Vec::new();
        write_request(TransactionId(transaction), &mmr, &own, &password, &mut bytes);
        let request = BindingRequest::parse(&bytes).unwrap();
        prop_assert_eq!((request.ufrag, request.peer_ufrag), (&mmr[..], &own[..]));
        prop_assert_eq!(request.transaction.0, transaction);
        prop_assert!(request.is_authentic(&password));
    }
}
