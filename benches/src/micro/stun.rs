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
        Micro::new("stun/router-check-and-reply", 1, || consent(10, 1)),
        // What each touches has left the caches when its turn comes again.
        Micro::new("stun/router-check-and-reply-in-turn/10000", 1, || consent(10_000, 10_000))
            .not_counted(),
    ]
}

/// The consent of the first `askers` of bound links, in turn, as often as ten thousand links give it to one worker.
fn consent(links: u32, askers: u32) -> impl FnMut() {
    let mut scene = Scene::new(Kind::Audio, links, 1);
    let checks: Vec<_> = (0..askers).map(check_of).collect();
    let mut asker = 0;
    move || {
        let check = &checks[asker as usize];
        let later = Duration::from_micros(500);
        assert_eq!(scene.hear(asker, black_box(check), check.len(), later), 1);
        asker = (asker + 1) % askers;
    }
}

fn check() -> Vec<u8> {
    check_of(0)
}

fn check_of(link: u32) -> Vec<u8> {
    let mut check = Vec::new();
    write_request(TransactionId([1; 12]), &ufrag(link), "peer", PASSWORD, &mut check);
    check
}
