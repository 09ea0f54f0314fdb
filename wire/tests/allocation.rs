//! What a worker calls in a turn allocates nothing: STUN, RTP, RTCP, SRTCP, demultiplexing.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use allocation_counter::measure;
use wire::srtp::{MasterKey, RTCP_OVERHEAD, SessionKeys};
use wire::stun::{BindingRequest, TransactionId, write_request};
use wire::{Malformed, Seq, Ssrc, rtcp, rtp};

/// Runs it once before counting, so that what a library sets up for the whole process does not
/// count.
fn allocations(mut run: impl FnMut()) -> u64 {
    run();
    measure(run).count_total
}

#[test]
fn answering_a_check() {
    let mut check = Vec::new();
    write_request(TransactionId([7; 12]), "mmrufrag", "abcd", "password", &mut check);
    let mapped = "[2001:db8::1]:4000".parse().unwrap();
    let mut out = [0; 128];
    let answered = || {
        let request = BindingRequest::parse(&check).unwrap();
        assert!(request.is_authentic("password"));
        assert!(!request.is_authentic("passwort"));
        assert!(request.write_success(mapped, "password", &mut out).is_some());
    };
    assert_eq!(allocations(answered), 0);
}

#[test]
fn refusing_what_is_malformed() {
    let mut check = Vec::new();
    write_request(TransactionId([7; 12]), "mmrufrag", "abcd", "password", &mut check);
    let refused = || {
        for len in 0..check.len() {
            assert_eq!(BindingRequest::parse(&check[..len]).err(), Some(Malformed));
            let _ = rtp::Packet::parse(&check[..len]);
            let _ = rtcp::parse(&check[..len], |_| ());
        }
    };
    assert_eq!(allocations(refused), 0);
}

#[test]
fn rtcp_and_its_protection() {
    let keys = SessionKeys::derive(&MasterKey { key: [1; 16], salt: [2; 12] });
    let lost = [(Seq(1), 2), (Seq(50), 0)];
    // SDES is not asked for, but comes with the compounds of other implementations.
    let sdes = [0x81, 202, 0, 2, 0, 0, 0, 9, 1, 1, b'a', 0];
    let mut packet = [0; 1500];
    let exchanged = || {
        let mut len = rtcp::write_nack(Ssrc(9), Ssrc(10), &lost, &mut packet).unwrap();
        packet[len..len + sdes.len()].copy_from_slice(&sdes);
        len += sdes.len();
        let sealed_len = keys.protect_rtcp(7, &mut packet, len).unwrap();
        assert_eq!(sealed_len, len + RTCP_OVERHEAD);
        assert_eq!(keys.unprotect_rtcp(&mut packet[..sealed_len]), Ok((len, 7)));
        let mut said = 0;
        rtcp::parse(&packet[..len], |_| said += 1).unwrap();
        assert_eq!(said, lost.len());
        assert!(rtcp::write_pli(Ssrc(9), Ssrc(10), &mut packet).is_some());
    };
    assert_eq!(allocations(exchanged), 0);
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1, 2, 3]))) > 0);
}
