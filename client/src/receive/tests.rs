#![allow(clippy::unwrap_used)] // a test may fail by panic

use super::*;
use crate::media::Frame;
use crate::payload::Depacketizer;
use crate::send::LayerSender;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BinaryHeap;
use wire::Bitrate;
use wire::control::Key;
use wire::srtp::MasterKey;

const STEP: Duration = Duration::from_millis(5);
const DELAY: Duration = Duration::from_millis(20);

/// A sender and a receiver over a network that loses, doubles and reorders, without a router between them.
struct World {
    random: StdRng,
    loss: f64,
    started: Instant,
    now: Instant,
    sender: LayerSender,
    receiver: LayerReceiver,
    depacketizer: Depacketizer,
    /// By arrival; the number keeps the order of equals.
    on_the_way: BinaryHeap<std::cmp::Reverse<(Instant, u64, Bytes)>>,
    sent: u64,
    sent_frames: Vec<Vec<u8>>,
    frames: Vec<Frame>,
}

fn layer(ssrc: u32) -> LayerInfo {
    let key = Key(MasterKey { key: [1; 16], salt: [2; 12] });
    let (ssrc, codec) = (Ssrc(ssrc), Codec::Vp8);
    LayerInfo { ssrc, codec, payload_type: 96, max_bitrate: Bitrate(1_000_000), key, roc: 0 }
}

#[test]
fn a_layer_is_understood_again_after_an_outage_of_half_a_cycle_and_more() {
    let mut world = World::new(1, 0.0, 7);
    for outage in [0, 40_000, 60_000] {
        let frame = |data| Frame { timestamp: 0, keyframe: true, data: Bytes::from_static(data) };
        for _ in 0..outage {
            world.sender.send(world.now, 0, &frame(b"lost")).unwrap();
        }
        let arrival = Arrival { now: world.now, ntp: 0, dscp: None };
        let train = world.sender.send(world.now, 0, &frame(b"heard")).unwrap();
        assert!(world.receiver.receive(&arrival, &train.bytes), "after {outage}");
    }
}

impl World {
    fn new(seed: u64, loss: f64, ssrc: u32) -> Self {
        let info = layer(ssrc);
        let now = Instant::now();
        Self {
            random: StdRng::seed_from_u64(seed),
            loss,
            started: now,
            now,
            sender: LayerSender::new(info.ssrc, info.codec, info.payload_type, &info.key.0),
            receiver: LayerReceiver::new(&info, 0),
            depacketizer: Depacketizer::new(info.codec),
            on_the_way: BinaryHeap::new(),
            sent: 0,
            sent_frames: Vec::new(),
            frames: Vec::new(),
        }
    }

    fn network(&mut self, packet: Bytes) {
        if self.random.random_bool(self.loss) {
            return;
        }
        let copies = if self.random.random_bool(0.02) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = Duration::from_micros(self.random.random_range(0..8_000));
            self.sent += 1;
            let arrival = (self.now + DELAY + jitter, self.sent, packet.clone());
            self.on_the_way.push(std::cmp::Reverse(arrival));
        }
    }

    fn send_frame(&mut self) {
        let number = self.sent_frames.len() as u64;
        let len = self.random.random_range(0..6_000);
        let mut data: Vec<u8> = (0..len).map(|_| self.random.random()).collect();
        data.splice(..data.len().min(1), [u8::from(!number.is_multiple_of(30))]);
        let frame = Frame { timestamp: number * 3_000, keyframe: false, data: data.clone().into() };
        let train = self.sender.send(self.now, 0, &frame).unwrap();
        for packet in train.bytes.chunks(train.segment) {
            self.network(Bytes::copy_from_slice(packet));
        }
        self.sent_frames.push(data);
    }

    fn step(&mut self) {
        self.now += STEP;
        while self.on_the_way.peek().is_some_and(|next| next.0.0 <= self.now) {
            let std::cmp::Reverse((now, _, packet)) = self.on_the_way.pop().unwrap();
            assert!(self.receiver.receive(&Arrival { now, ntp: 0, dscp: None }, &packet));
        }
        self.receiver.handle_timeout(self.now);
        while let Some(packet) = self.receiver.poll_packet() {
            self.frames.extend(self.depacketizer.receive(packet.piece().unwrap()));
        }
        while let Some(feedback) = self.receiver.poll_feedback(self.now, 2 * DELAY) {
            let lost = self.random.random_bool(self.loss);
            let Feedback::Nack(entries) = feedback else { continue };
            for (pid, mask) in entries {
                if !lost {
                    let again = self.sender.resend(pid, mask);
                    again.into_iter().for_each(|packet| self.network(packet));
                }
            }
        }
    }

    fn report(&mut self) {
        let info = self.sender.sender_info(self.now, 0).unwrap();
        if !self.random.random_bool(self.loss) {
            self.receiver.handle_sender_info(self.now, &info);
        }
    }

    /// Frames in real time, then the time a publisher lingers.
    fn run(&mut self, frames: usize) {
        let mut steps = 0;
        while self.sent_frames.len() < frames {
            if steps % 6 == 0 {
                self.send_frame();
            }
            if steps % 200 == 100 {
                self.report();
            }
            self.step();
            steps += 1;
        }
        let end = self.now + limits::LINGER;
        while self.now < end {
            if steps % 40 == 0 {
                self.report();
            }
            self.step();
            steps += 1;
        }
    }

    fn received(&self) -> Vec<Vec<u8>> {
        self.frames.iter().map(|frame| frame.data.to_vec()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The label decides where sequence numbers start, so wrap-arounds come at any place.
    #[test]
    fn everything_arrives_over_a_network_that_loses_five_percent(seed: u64, ssrc: u32) {
        let mut world = World::new(seed, 0.05, ssrc);
        world.run(90);
        prop_assert_eq!(world.received(), world.sent_frames.clone());
        prop_assert_eq!(world.depacketizer.incomplete(), 0);
        let sent = world.sender.statistics();
        let statistics = world.receiver.finish();
        prop_assert_eq!(statistics.lost, 0);
        prop_assert_eq!(statistics.delivered, sent.packets);
        prop_assert!(statistics.repaired > 0);
    }

    /// Nothing is repaired when NACKs and answers get lost forever; what is whole still comes, in order.
    #[test]
    fn what_is_lost_for_good_is_counted_and_skipped(seed: u64, ssrc: u32) {
        let mut world = World::new(seed, 0.6, ssrc);
        world.run(60);
        let received = world.received();
        let mut sent = world.sent_frames.iter();
        prop_assert!(received.iter().all(|frame| sent.any(|one| one == frame)), "order or content");
        let packets = world.sender.statistics().packets;
        let statistics = world.receiver.finish();
        // Packets before the first that was heard, and behind the last, may not be known of.
        prop_assert!(statistics.expected() <= packets);
    }
}

#[test]
fn a_late_joiner_finds_the_rollover_counter_next_to_the_one_told() {
    let mut world = World::new(1, 0.0, 0x7ff0);
    // 0x7ff0 packets into the layer the sequence number wraps; nobody listens until then.
    let frame = |len: usize| Frame { timestamp: 0, keyframe: true, data: vec![0; len].into() };
    while world.sender.statistics().packets < 0x1_0000 - 0x7ff0 {
        world.sender.send(world.now, 0, &frame(10)).unwrap();
    }
    let train = world.sender.send(world.now, 0, &frame(10)).unwrap();
    let arrival = Arrival { now: world.now, ntp: 0, dscp: None };
    assert!(world.receiver.receive(&arrival, &train.bytes), "told 0, sent under 1");
    assert_eq!(world.receiver.poll_packet().unwrap().index, 0x1_0000);
}

#[test]
fn packets_of_others_are_not_taken() {
    let mut world = World::new(1, 0.0, 7);
    let mut liar =
        LayerSender::new(Ssrc(7), Codec::Vp8, 96, &MasterKey { key: [9; 16], salt: [9; 12] });
    let frame = Frame { timestamp: 0, keyframe: true, data: vec![0; 10].into() };
    let train = liar.send(world.now, 0, &frame).unwrap();
    let arrival = Arrival { now: world.now, ntp: 0, dscp: None };
    assert!(!world.receiver.receive(&arrival, &train.bytes));
    assert!(world.receiver.poll_packet().is_none());
    assert_eq!(world.receiver.finish().unauthentic, 1);
}

#[test]
fn a_keyframe_is_asked_for_when_a_stream_is_joined_midway_and_not_forever() {
    let mut world = World::new(1, 0.0, 7);
    for _ in 0..limits::START_GAP_MAX + 10 {
        let frame = Frame { timestamp: 0, keyframe: false, data: vec![1; 10].into() };
        let train = world.sender.send(world.now, 0, &frame).unwrap();
        if world.sender.statistics().packets > limits::START_GAP_MAX + 2 {
            let arrival = Arrival { now: world.now, ntp: 0, dscp: None };
            world.receiver.receive(&arrival, &train.bytes);
        }
    }
    let mut asked = 0;
    let mut now = world.started;
    while let Some(due) = world.receiver.poll_timeout() {
        now = now.max(due);
        while let Some(feedback) = world.receiver.poll_feedback(now, DELAY) {
            assert_eq!(feedback, Feedback::Pli);
            asked += 1;
        }
    }
    assert_eq!(asked, 21, "ten seconds, twice a second");
}
