//! What parsing costs: an RTP header with extensions, a STUN check with its integrity.
#![allow(missing_docs)] // criterion's macros make a public function without any.

use benches::Train;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use wire::Kind;
use wire::rtp::Packet;
use wire::stun::{BindingRequest, TransactionId, write_request};

fn rtp(criterion: &mut Criterion) {
    let audio = Train::new(Kind::Audio, 1, 120).bytes;
    criterion.bench_function("parse/rtp-audio-level", |bencher| {
        bencher.iter(|| Packet::parse(black_box(&audio)).map(|packet| packet.audio_level()));
    });
    let video = Train::new(Kind::Video, 1, 1_200).bytes;
    criterion.bench_function("parse/rtp-frame-marking", |bencher| {
        bencher.iter(|| Packet::parse(black_box(&video)).map(|packet| packet.frame_marking()));
    });
}

fn stun(criterion: &mut Criterion) {
    let mut check = Vec::new();
    write_request(TransactionId([1; 12]), "mmrufrag", "peer", "password", &mut check);
    criterion.bench_function("parse/stun-authentic", |bencher| {
        bencher.iter(|| {
            BindingRequest::parse(black_box(&check)).map(|request| request.is_authentic("password"))
        });
    });
}

criterion_group!(benches, rtp, stun);
criterion_main!(benches);
