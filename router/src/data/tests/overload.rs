//! What a worker that can't keep up gives up, and how it takes it back.

use super::*;

/// Long turns, one behind the other, until all video and content is given up. With the next, less than consent lasts.
fn fall_behind(world: &mut World) {
    for _ in 0..40 {
        turn(world, limits::OVERLOAD_WINDOW);
    }
}

/// Short turns for long enough to take everything back.
fn catch_up(world: &mut World) {
    for _ in 0..300 {
        turn(world, Duration::from_millis(1));
        world.now += limits::OVERLOAD_WINDOW;
    }
}

fn turn(world: &mut World, length: Duration) {
    let began = world.now;
    world.now += length;
    for worker in &mut world.workers {
        worker.note_turn(began, world.now);
    }
}

/// A packet in the middle of the pictures, `len` bytes long.
fn delta(layer: u32, seq: u16, len: usize) -> Vec<u8> {
    let marking = FrameMarking { start: true, end: true, independent: false, discardable: false };
    let header = Header {
        payload_type: 96,
        seq,
        ssrc: ssrc(layer).0,
        frame_marking: Some(marking),
        ..Header::default()
    };
    written(header, len)
}

fn arrives(world: &mut World, packet: &[u8]) -> bool {
    world.media(0, 0, packet);
    !world.forwarded(packet).is_empty()
}

#[test]
fn a_worker_that_falls_behind_keeps_audio() {
    let mut world = World::with_meeting(Kind::Audio);
    fall_behind(&mut world);
    assert!(arrives(&mut world, &packet(0, 1, 100)));
    assert_eq!(world.drops(DropReason::Overload), 0);
}

#[test]
fn video_that_was_given_up_comes_back_with_a_keyframe_that_was_asked_for() {
    let mut world = World::with_meeting(Kind::Video);
    assert!(arrives(&mut world, &keyframe(0, 1, 300)));
    fall_behind(&mut world);
    assert!(!arrives(&mut world, &keyframe(0, 2, 300)), "a keyframe is given up as well");
    assert!(world.reports(0).is_empty(), "nothing is asked for that would be given up");
    catch_up(&mut world);
    world.take();
    assert!(!arrives(&mut world, &delta(0, 3, 300)), "nobody can decode this one");
    world.pass(limits::PLI_INTERVAL);
    let asked = |report: &wire::rtcp::Report| matches!(report, wire::rtcp::Report::Pli { .. });
    assert!(world.reports(0).iter().any(asked));
    assert!(arrives(&mut world, &keyframe(0, 4, 300)));
    assert!(arrives(&mut world, &delta(0, 5, 300)));
    assert_eq!(world.drops(DropReason::Overload), 2);
}

#[test]
fn a_lost_request_for_the_keyframe_is_made_again() {
    let mut world = World::with_meeting(Kind::Video);
    fall_behind(&mut world);
    assert!(!arrives(&mut world, &delta(0, 1, 300)));
    catch_up(&mut world);
    world.take();
    assert!(!arrives(&mut world, &delta(0, 2, 300)));
    world.pass(limits::PLI_INTERVAL * 3);
    let asked = |report: &&wire::rtcp::Report| matches!(report, wire::rtcp::Report::Pli { .. });
    assert!(world.reports(0).iter().filter(asked).count() >= 3);
}

#[test]
fn video_without_marks_comes_back_at_once() {
    let mut world = World::with_meeting(Kind::Video);
    fall_behind(&mut world);
    assert!(!arrives(&mut world, &packet(0, 1, 300)));
    catch_up(&mut world);
    assert!(arrives(&mut world, &packet(0, 2, 300)));
}

#[test]
fn what_was_given_up_is_not_sent_again_either() {
    let mut world = World::with_meeting(Kind::Video);
    fall_behind(&mut world);
    world.media(0, 0, &packet(0, 7, 300));
    world.rtcp(0, 1, |sender, out| {
        wire::rtcp::write_nack(sender, ssrc(0), &[(wire::Seq(7), 0)], out)
    });
    assert_eq!(world.drops(DropReason::NotInHistory), 1);
}

#[test]
fn numbers_that_roll_over_meanwhile_are_told() {
    let mut world = World::with_meeting(Kind::Video);
    world.media(0, 0, &packet(0, 65_000, 200));
    fall_behind(&mut world);
    for seq in [65_535, 0] {
        world.media(0, 0, &packet(0, seq, 200));
    }
    assert!(world.events.contains(&Event::Rollover { layer: layer(0), roc: 1 }));
}
