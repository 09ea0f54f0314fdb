//! Vectors of RFC 3711 and RFC 7714; and what must never pass.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::Seq;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// RFC 7714 gives its packets with session keys: 16.1 and 17.1 share key and salt.
fn rfc7714_keys() -> SessionKeys {
    let key = hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
    let salt = hex("517569642070726f2071756f").try_into().unwrap();
    SessionKeys { rtp: Cipher::new(key, salt), rtcp: Cipher::new(key, salt) }
}

const RTP_PLAIN: &str = "8040f17b 8041f8d3 5501a0b2
    47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
const RTP_SEALED: &str = "8040f17b 8041f8d3 5501a0b2
    f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833
    899d7f27 beb16a91 52cf765e e4390cce";
const RTCP_PLAIN: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930
    4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";
const RTCP_SEALED: &str = "81c8000d 4d617273
    63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
    0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
/// RFC 7714 §17.3: authenticated only.
const RTCP_TAGGED: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930
    4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef
    841dd968 3dd78ec9 2ae58790 125f62b3 000005d4";

#[test]
fn protects_the_rtp_packet_of_rfc7714_section_16() {
    let mut packet = hex(RTP_PLAIN);
    let len = packet.len();
    packet.resize(len + RTP_OVERHEAD, 0);
    assert_eq!(rfc7714_keys().protect_rtp(0, &mut packet, len), Ok(packet.len()));
    assert_eq!(packet, hex(RTP_SEALED));
}

#[test]
fn unprotects_the_rtp_packet_of_rfc7714_section_16() {
    let mut packet = hex(RTP_SEALED);
    let len = rfc7714_keys().unprotect_rtp(0, &mut packet).unwrap();
    assert_eq!(packet[..len], hex(RTP_PLAIN));
}

#[test]
fn protects_the_rtcp_packet_of_rfc7714_section_17() {
    let mut packet = hex(RTCP_PLAIN);
    let len = packet.len();
    packet.resize(len + RTCP_OVERHEAD, 0);
    assert_eq!(rfc7714_keys().protect_rtcp(0x5d4, &mut packet, len), Ok(packet.len()));
    assert_eq!(packet, hex(RTCP_SEALED));
}

#[test]
fn unprotects_the_rtcp_packet_of_rfc7714_section_17() {
    let mut packet = hex(RTCP_SEALED);
    let (len, index) = rfc7714_keys().unprotect_rtcp(&mut packet).unwrap();
    assert_eq!(packet[..len], hex(RTCP_PLAIN));
    assert_eq!(index, 0x5d4);
}

#[test]
fn refuses_rtcp_that_is_not_encrypted() {
    let mut packet = hex(RTCP_TAGGED);
    assert_eq!(rfc7714_keys().unprotect_rtcp(&mut packet), Err(SrtpError::Malformed));
}

#[test]
fn derives_the_session_keys_of_rfc3711_appendix_b3() {
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139").try_into().unwrap();
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6").try_into().unwrap();
    let key: [u8; 16] = prf(&master, &salt, 0);
    let session_salt: [u8; 14] = prf(&master, &salt, 2);
    let authentication: [u8; 94] = prf(&master, &salt, 1);
    assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(session_salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(authentication[..20], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/// RFC 7714 has no vector from master key to packet, and says nothing of how a 96-bit salt enters
/// the derivation of RFC 3711: these packets were made by libsrtp 2.5.0 (Debian 12) with the master
/// key 00 01 … 1b.
#[test]
fn derives_what_libsrtp_derives() {
    let key = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let salt = std::array::from_fn(|i| u8::try_from(16 + i).unwrap());
    let keys = SessionKeys::derive(&MasterKey { key, salt });
    let plain = hex("90600001 00000002 12345678 bede0001 108a0000 68656c6c 6f");
    let mut packet = [&plain[..], &[0; RTP_OVERHEAD]].concat();
    keys.protect_rtp(0, &mut packet, plain.len()).unwrap();
    let sealed = "90600001 00000002 12345678 bede0001 108a0000
        08769592 eae45dd9 159a9756 93a71beb db401e9a 45";
    assert_eq!(packet, hex(sealed));
    let plain = hex("80c90001 12345678 81cd0003 12345678 cafebabe 03e80005");
    let mut packet = [&plain[..], &[0; RTCP_OVERHEAD]].concat();
    keys.protect_rtcp(1, &mut packet, plain.len()).unwrap();
    let sealed = "80c90001 12345678
        39a8521a d88ca207 e8f3bc66 ca6e308c 63a82f74 56081412 57239279 20526c4d 80000001";
    assert_eq!(packet, hex(sealed));
}

#[test]
fn every_flipped_bit_is_found() {
    let keys = rfc7714_keys();
    for bit in 0..hex(RTCP_SEALED).len() * 8 {
        let mut packet = hex(RTCP_SEALED);
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.unprotect_rtcp(&mut packet).is_err(), "RTCP, bit {bit}");
    }
    for bit in 0..hex(RTP_SEALED).len() * 8 {
        let mut packet = hex(RTP_SEALED);
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.unprotect_rtp(0, &mut packet).is_err(), "RTP, bit {bit}");
    }
    assert_eq!(
        keys.unprotect_rtp(1, &mut hex(RTP_SEALED)),
        Err(SrtpError::NotAuthentic),
        "a wrong rollover counter"
    );
}

#[test]
fn says_when_there_is_no_room() {
    let keys = rfc7714_keys();
    let mut packet = hex(RTP_PLAIN);
    let len = packet.len();
    packet.resize(len + RTP_OVERHEAD - 1, 0);
    assert_eq!(keys.protect_rtp(0, &mut packet, len), Err(SrtpError::BufferTooSmall));
    let mut packet = hex(RTCP_PLAIN);
    let len = packet.len();
    packet.resize(len + RTCP_OVERHEAD - 1, 0);
    assert_eq!(keys.protect_rtcp(0, &mut packet, len), Err(SrtpError::BufferTooSmall));
}

#[test]
fn keys_are_never_shown() {
    let master = MasterKey { key: [0xab; 16], salt: [0xcd; 12] };
    let shown = format!("{master:?} {:?}", SessionKeys::derive(&master));
    assert_eq!(shown, "MasterKey(…) SessionKeys(…)");
}

#[test]
fn a_packet_is_accepted_once() {
    let mut window = ReplayWindow::default();
    assert!(window.accept(0));
    assert!(!window.accept(0));
    assert!(window.accept(70));
    assert!(window.accept(7), "63 behind is inside the window");
    assert!(!window.accept(6), "64 behind is outside");
    assert!(!window.accept(7));
    assert!(window.accept(u64::MAX));
    assert!(!window.accept(70));
}

#[test]
fn the_rollover_counter_follows_wraps_and_stragglers() {
    let mut rollover = Rollover::new(7);
    assert_eq!(rollover.guess(Seq(65_530)), 7);
    rollover.update(Seq(65_530), 7);
    assert_eq!(rollover.guess(Seq(3)), 8);
    rollover.update(Seq(3), 8);
    assert_eq!(rollover.guess(Seq(65_531)), 7);
    rollover.update(Seq(65_531), 7);
    assert_eq!(rollover.roc(), 8, "a straggler changes nothing");
    assert_eq!(rollover.guess(Seq(4)), 8);
}

proptest! {
    /// Against RFC 3711 appendix A, as it is written there.
    #[test]
    fn guesses_as_the_appendix_says(roc in 1..u32::MAX - 1, highest: u16, seq: u16) {
        let mut rollover = Rollover::new(roc);
        rollover.update(Seq(highest), roc);
        let (s_l, s) = (i32::from(highest), i32::from(seq));
        let expected = if s_l < 32_768 {
            if s - s_l > 32_768 { roc - 1 } else { roc }
        } else if s_l - 32_768 > s {
            roc + 1
        } else {
            roc
        };
        prop_assert_eq!(rollover.guess(Seq(seq)), expected);
    }

    /// Against a set of everything accepted.
    #[test]
    fn the_window_agrees_with_a_set(indexes in prop::collection::vec(0_u64..300, 0..400)) {
        let mut window = ReplayWindow::default();
        let mut seen = std::collections::BTreeSet::new();
        for index in indexes {
            let highest = seen.last().copied().unwrap_or(0);
            let fresh = index + 63 >= highest && !seen.contains(&index);
            prop_assert_eq!(window.accept(index), fresh);
            if fresh {
                seen.insert(index);
            }
        }
    }

    #[test]
    fn what_was_protected_comes_back(
        key: [u8; 16], salt: [u8; 12], roc: u32, index in 0_u32..1 << 31, payload: Vec<u8>,
    ) {
        let keys = SessionKeys::derive(&MasterKey { key, salt });
        let mut plain = vec![0x80, 96, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        plain.extend_from_slice(&payload);
        let mut packet = [&plain[..], &[0; RTCP_OVERHEAD]].concat();
        let len = keys.protect_rtp(roc, &mut packet, plain.len()).unwrap();
        prop_assert_eq!(len, plain.len() + RTP_OVERHEAD);
        let len = keys.unprotect_rtp(roc, &mut packet[..len]).unwrap();
        prop_assert_eq!(&packet[..len], &plain);
        let len = keys.protect_rtcp(index, &mut packet, plain.len()).unwrap();
        let plain_len = plain.len();
        prop_assert_eq!(keys.unprotect_rtcp(&mut packet[..len]), Ok((plain_len, index)));
        prop_assert_eq!(&packet[..plain_len], &plain);
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes: Vec<u8>, roc: u32, len: u8) {
        let keys = rfc7714_keys();
        let _ = keys.unprotect_rtp(roc, &mut bytes);
        let _ = keys.unprotect_rtcp(&mut bytes);
        let _ = keys.protect_rtp(roc, &mut bytes, usize::from(len));
        let _ = keys.protect_rtcp(roc >> 1, &mut bytes, usize::from(len));
    }
}
