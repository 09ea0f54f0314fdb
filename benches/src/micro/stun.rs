//! A connectivity check: HMAC-SHA1 over the request, and over the answer.

use super::Micro;
use crate::scene::{PASSWORD, Scene, ufrag};
use std::hint::black_box;
use std::time::Duration;
use wire::Kind;
use wire::stun::{BindingRequest, TransactionId, write_request};

pub(super) fn benches() -> Vec<Micro> {
    vec![
        Micro::new("stun/check", 1, || {
            let check = check();
            move || {
                let request = BindingRequest::parse(black_box(&check)).expect("it is a check");
                assert!(request.is_authentic(PASSWORD));
            }
        }),
        Micro::new("stun/reply", 1, || {
            let check = check();
            let mapped = "192.0.2.1:4000".parse().expect("an address");
            let mut out = [0; 128];
            move || {
                let request = BindingRequest::parse(black_box(&check)).expect("it is a check");
                let len = request.write_success(mapped, PASSWORD, &mut out);
                assert!(black_box(len).is_some());
            }
        }),
        // A bound link's consent, as often as ten thousand links give it to one worker.
        Micro::new("stun/router-check-and-reply", 1, || {
            let mut scene = Scene::new(Kind::Audio, 10, 1);
            let check = check();
            move || {
                let later = Duration::from_micros(500);
                assert_eq!(scene.hear(0, black_box(&check), check.len(), later), 1);
            }
        }),
    ]
}

/// Of link 0.
fn check() -> Vec<u8> {
    let mut check = Vec::new();
    write_request(TransactionId([1; 12]), &ufrag(0), "peer", PASSWORD, &mut check);
    check
}
