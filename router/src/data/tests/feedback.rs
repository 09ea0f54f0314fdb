//! NACK, PLI and reports, from both sides.

use super::*;
use wire::Seq;
use wire::rtcp::{self, Report, SenderInfo};

fn nack(world: &mut World, worker: usize, link: u32, seqs: &[u16]) {
    let lost: Vec<(Seq, u16)> = seqs.iter().map(|seq| (Seq(*seq), 0)).collect();
    world.rtcp(worker, link, |sender, out| rtcp::write_nack(sender, ssrc(0), &lost, out));
}

fn pli(world: &mut World, worker: usize, link: u32) {
    world.rtcp(worker, link, |sender, out| rtcp::write_pli(sender, ssrc(0), out));
}

/// Two workers; the publisher (link 0) is heard by the first, the subscriber (link 1) by the second.
fn split_meeting() -> World {
    let mut world = World::new(2);
    for index in 0..2 {
        world.add_link(link(index), Kind::Video);
        world.check(index as usize, index);
    }
    world.add_layer(layer(0), 0, Kind::Video);
    world.order(Order::Route { layer: layer(0), link: link(1) });
    world.take();
    world
}

#[test]
fn a_lost_packet_is_sent_again_as_it_was() {
    let mut world = World::with_meeting(Kind::Video);
    let packets: Vec<Vec<u8>> = (0..20).map(|seq| packet(0, seq, 900)).collect();
    packets.iter().for_each(|packet| world.media(0, 0, packet));
    world.take();
    nack(&mut world, 0, 2, &[3, 17]);
    let again: Vec<Vec<u8>> = world.own().into_iter().map(|sent| sent.bytes).collect();
    assert_eq!(again, [packets[3].clone(), packets[17].clone()]);
    assert_eq!(world.workers[0].counters().retransmitted, 2);
}

#[test]
fn what_was_never_heard_or_is_older_than_a_second_is_not_sent_again() {
    let mut world = World::with_meeting(Kind::Video);
    world.media(0, 0, &packet(0, 1, 900));
    world.pass(Duration::from_millis(1_001));
    world.take();
    nack(&mut world, 0, 2, &[1, 2]);
    assert!(world.own().is_empty());
    assert_eq!(world.drops(DropReason::NotInHistory), 2);
}

#[test]
fn a_nack_reaches_the_worker_that_has_the_history() {
    let mut world = split_meeting();
    let lost = packet(0, 5, 900);
    world.media(0, 0, &lost);
    world.take();
    nack(&mut world, 1, 1, &[5]);
    assert_eq!(world.own(), [Sent { link: 1, bytes: lost, packets: 1 }]);
    assert_eq!(world.workers[0].counters().retransmitted, 1);
}

#[test]
fn after_the_publisher_moved_its_former_worker_still_repairs() {
    let mut world = split_meeting();
    let lost = packet(0, 5, 900);
    world.media(0, 0, &lost);
    world.pass(limits::MOVE_INTERVAL);
    world.check_from(1, 0, path_at(9_000));
    world.take();
    nack(&mut world, 1, 1, &[5]);
    assert_eq!(world.own(), [Sent { link: 1, bytes: lost, packets: 1 }]);
}

#[test]
fn nobody_gets_repairs_of_what_it_does_not_receive() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_link_of(MeetingId(2), link(9), Kind::Video);
    world.check(0, 9);
    world.media(0, 0, &packet(0, 1, 900));
    world.take();
    nack(&mut world, 0, 9, &[1]);
    nack(&mut world, 0, 0, &[1]);
    assert!(world.own().is_empty());
    assert_eq!(world.drops(DropReason::FeedbackStray), 2);
}

#[test]
fn repairs_are_bounded_per_link() {
    let mut world = World::with_meeting(Kind::Video);
    world.media(0, 0, &packet(0, 1, 100));
    for _ in 0..60 {
        nack(&mut world, 0, 2, &[1; 10]);
        world.outbox.clear();
    }
    let repaired = world.workers[0].counters().retransmitted;
    assert_eq!(repaired, u64::from(limits::REPAIR_BURST));
    assert_eq!(world.drops(DropReason::RepairLimit), 600 - repaired);
}

#[test]
fn rtcp_is_bounded_per_link() {
    let mut world = World::with_meeting(Kind::Video);
    for _ in 0..600 {
        pli(&mut world, 0, 2);
        world.outbox.clear();
    }
    assert_eq!(world.workers[0].counters().rtcp, u64::from(limits::FEEDBACK_BURST));
    assert_eq!(world.drops(DropReason::FeedbackLimit), 100);
}

#[test]
fn forged_and_replayed_rtcp_is_dropped_by_reason() {
    let mut world = World::with_meeting(Kind::Video);
    world.media(0, 0, &packet(0, 1, 100));
    let lost = [(Seq(1), 0)];
    let mut packet = world.rtcp(0, 2, |sender, out| rtcp::write_nack(sender, ssrc(0), &lost, out));
    world.take();
    world.arrive(0, path(2), &packet, packet.len());
    assert_eq!(world.drops(DropReason::RtcpReplayed), 1);
    *packet.last_mut().unwrap() ^= 1;
    world.arrive(0, path(2), &packet, packet.len());
    assert_eq!(world.drops(DropReason::RtcpForged), 1);
    assert!(world.outbox.is_empty());
    assert_eq!(world.workers[0].counters().rtcp, 1);
}

#[test]
fn a_gap_is_asked_for_until_it_is_filled() {
    let mut world = World::with_meeting(Kind::Video);
    for seq in [1, 2, 5, 6] {
        world.media(0, 0, &packet(0, seq, 300));
    }
    world.take();
    world.pass(Duration::from_millis(9));
    assert_eq!(world.reports(0), []);
    let asked = Report::Nack { media: ssrc(0), pid: Seq(3), blp: 1 };
    world.pass(Duration::from_millis(2));
    assert_eq!(world.reports(0), [asked]);
    world.pass(Duration::from_millis(50));
    assert_eq!(world.reports(0), [asked]);
    for seq in [3, 4] {
        let late = packet(0, seq, 300);
        world.media(0, 0, &late);
        assert_eq!(world.forwarded(&late).len(), 3);
    }
    world.pass(Duration::from_millis(500));
    assert_eq!(world.reports(0), []);
}

#[test]
fn reordering_is_not_asked_for() {
    let mut world = World::with_meeting(Kind::Video);
    for seq in [1, 3, 2] {
        world.media(0, 0, &packet(0, seq, 300));
        world.pass(Duration::from_millis(4));
    }
    world.take();
    world.pass(Duration::from_millis(500));
    assert_eq!(world.reports(0), []);
}

#[test]
fn many_keyframe_requests_become_two_a_second() {
    let mut world = World::with_meeting(Kind::Video);
    let mut asked = 0;
    for round in 0..100 {
        pli(&mut world, 0, 1 + round % 3);
        world.pass(Duration::from_millis(20));
        asked += world.reports(0).iter().filter(|report| is_pli(report)).count();
    }
    assert!((4..=5).contains(&asked), "{asked}");
}

#[test]
fn a_request_that_came_too_soon_is_passed_on_later_unless_a_keyframe_came() {
    for answered in [false, true] {
        let mut world = World::with_meeting(Kind::Video);
        pli(&mut world, 0, 1);
        pli(&mut world, 0, 2);
        assert_eq!(world.reports(0).len(), 1);
        if answered {
            world.media(0, 0, &keyframe(0, 1, 300));
            world.take();
        }
        world.pass(Duration::from_millis(510));
        let asked = world.reports(0).iter().filter(|report| is_pli(report)).count();
        assert_eq!(asked, usize::from(!answered), "answered: {answered}");
    }
}

#[test]
fn a_keyframe_request_reaches_the_publishers_worker() {
    let mut world = split_meeting();
    pli(&mut world, 1, 1);
    assert_eq!(world.reports(0), [Report::Pli { media: ssrc(0) }]);
}

#[test]
fn a_switch_asks_for_a_keyframe_until_it_comes() {
    let mut world = World::with_meeting(Kind::Video);
    world.add_layer(layer(1), 0, Kind::Video);
    world.order(Order::Switch { from: layer(0), to: layer(1), link: link(2) });
    world.pass(Duration::from_millis(1_100));
    assert_eq!(world.reports(0), [Report::Pli { media: ssrc(1) }; 3]);
    world.media(0, 0, &keyframe(1, 1, 300));
    world.take();
    world.pass(Duration::from_millis(900));
    assert_eq!(world.reports(0), []);
}

#[test]
fn a_publisher_hears_each_second_how_its_layer_arrives() {
    let mut world = World::with_meeting(Kind::Video);
    for seq in (0..100).filter(|seq| seq % 10 != 5) {
        world.media(0, 0, &packet(0, seq, 300));
        world.pass(Duration::from_millis(12));
    }
    let told = blocks(&mut world);
    assert_eq!(told.len(), 1);
    // After a second 84 packets have come, up to number 93: 5, 15, … 85 are missing.
    assert_eq!((told[0].ssrc, told[0].cumulative_lost), (ssrc(0), 9));
    world.pass(Duration::from_secs(3));
    assert_eq!(blocks(&mut world).len(), 1, "one more report, then silence");
}

#[test]
fn a_sender_report_reaches_every_subscriber_under_the_workers_own_ssrc() {
    let mut world = World::with_meeting(Kind::Audio);
    let info = SenderInfo {
        ssrc: ssrc(0),
        ntp: 0x1122_3344_5566_7788,
        rtp_timestamp: 960,
        packets: 7,
        octets: 700,
    };
    for _ in 0..2 {
        world.rtcp(0, 0, |_, out| rtcp::write_sender_report(None, &info, out));
    }
    assert_eq!(world.drops(DropReason::ReportLimit), 1, "the second came too soon");
    for index in 1..4 {
        let keys = SessionKeys::derive(&master_key(index, 1));
        let transmits: Vec<Transmit> = world.outbox.datagrams().copied().collect();
        let mine: Vec<&Transmit> = transmits.iter().filter(|at| at.link == index).collect();
        assert_eq!(mine.len(), 1);
        let mut bytes = sent(mine[0], world.outbox.arena(), 0).bytes;
        assert_eq!(rtcp::sender_ssrc(&bytes), Ok(Ssrc(1)));
        let (len, _) = keys.unprotect_rtcp(&mut bytes).unwrap();
        let mut heard = Vec::new();
        rtcp::parse(&bytes[..len], |report| heard.push(report)).unwrap();
        assert_eq!(heard, [Report::Sender(info)]);
    }
}

#[test]
fn nobody_reports_for_anothers_layer() {
    let mut world = World::with_meeting(Kind::Audio);
    let info = SenderInfo { ssrc: ssrc(0), ntp: 1, rtp_timestamp: 2, packets: 3, octets: 4 };
    world.rtcp(0, 1, |_, out| rtcp::write_sender_report(None, &info, out));
    assert_eq!(world.drops(DropReason::WrongSsrc), 1);
    assert!(world.outbox.is_empty());
}

/// The report blocks a publisher got.
fn blocks(world: &mut World) -> Vec<rtcp::ReportBlock> {
    let block = |report| match report {
        Report::Block(block) => Some(block),
        _ => None,
    };
    world.reports(0).into_iter().filter_map(block).collect()
}

fn is_pli(report: &Report) -> bool {
    matches!(report, Report::Pli { .. })
}
