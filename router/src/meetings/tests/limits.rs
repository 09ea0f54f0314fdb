//! Every table has a limit, and one client's waste is its own.

use super::*;

fn full(config: MeetingsConfig) -> Scene {
    Scene::with(config)
}

#[test]
fn a_full_meeting_takes_nobody() {
    let mut scene = full(MeetingsConfig { participants_per_meeting: 1, ..config() });
    scene.join(ANN, claims("m", "ann"));
    let heard = scene.join(BOB, claims("m", "bob"));
    assert_eq!(refusal(&heard, BOB), ErrorCode::LimitReached);
    assert!(heard[&BOB].closed);
    scene.join(CAT, claims("other", "cat"));
    assert_eq!(scene.meetings.summary().participants, 2);
}

#[test]
fn links_are_limited_and_free_again_when_they_are_gone() {
    let mut scene = full(MeetingsConfig { links: 1, ..config() });
    scene.join(ANN, claims("m", "ann"));
    scene.join(BOB, claims("m", "bob"));
    scene.say(ANN, connect(Kind::Audio));
    assert_eq!(refusal(&scene.say(BOB, connect(Kind::Audio)), BOB), ErrorCode::LimitReached);
    let before = scene.link(ANN, Kind::Audio);
    scene.say(ANN, ClientMessage::Leave);
    scene.say(BOB, connect(Kind::Audio));
    let after = scene.link(BOB, Kind::Audio);
    assert_eq!(before.index, after.index);
    assert_ne!(before.generation, after.generation);
}

#[test]
fn layers_are_limited_whole_streams_at_a_time() {
    let mut scene = full(MeetingsConfig { layers: 3, ..config() });
    scene.join(ANN, claims("m", "ann"));
    scene.say(ANN, connect(Kind::Video));
    scene.say(ANN, connect(Kind::Content));
    scene.published(ANN, video(2));
    let content = publish(Kind::Content, vec![layer(Codec::Vp8, 1); 2]);
    scene.orders.clear();
    assert_eq!(refusal(&scene.say(ANN, content), ANN), ErrorCode::LimitReached);
    assert!(scene.orders().is_empty(), "no half of a stream");
    scene.published(ANN, publish(Kind::Content, vec![layer(Codec::Vp8, 1)]));
}

#[test]
fn routes_are_limited_and_free_again_when_they_are_gone() {
    let mut scene = full(MeetingsConfig { routes: 1, ..config() });
    for (channel, name) in [(ANN, "ann"), (BOB, "bob"), (CAT, "cat")] {
        scene.join(channel, claims("m", name));
        scene.say(channel, connect(Kind::Video));
    }
    let (stream, _) = scene.published(ANN, video(2));
    scene.say(BOB, subscribe(stream, 0));
    assert_eq!(refusal(&scene.say(CAT, subscribe(stream, 0)), CAT), ErrorCode::LimitReached);
    let heard = scene.say(BOB, subscribe(stream, 1));
    assert!(matches!(only(&heard, BOB), ServerMessage::Subscribed { .. }), "no new route");
    scene.say(BOB, ClientMessage::Unsubscribe { stream });
    let heard = scene.say(CAT, subscribe(stream, 0));
    assert!(matches!(only(&heard, CAT), ServerMessage::Subscribed { .. }));
}

#[test]
fn publishing_over_and_over_is_slowed() {
    let mut scene = Scene::of_two();
    let burst = crate::limits::PUBLISHES_BURST;
    for _ in 0..burst {
        let (stream, _) = scene.published(ANN, video(1));
        scene.say(ANN, ClientMessage::Unpublish { stream });
    }
    let heard = scene.say(ANN, video(1));
    assert_eq!(refusal(&heard, ANN), ErrorCode::LimitReached);
    assert!(!heard.contains_key(&BOB), "the others hear nothing of it");
    scene.published(BOB, video(1));
    scene.wait(crate::limits::PUBLISH_INTERVAL);
    scene.published(ANN, video(1));
}

#[test]
fn a_flood_of_messages_is_answered_with_errors_to_who_sends_it_alone() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(BOB, video(1));
    let mut refused = 0;
    for _ in 0..20_000 {
        let heard = scene.say(ANN, subscribe(stream, 0));
        assert!(!heard.contains_key(&BOB));
        let message = only(&heard, ANN);
        let limit = ErrorCode::LimitReached;
        refused +=
            usize::from(matches!(message, ServerMessage::Error { code, .. } if *code == limit));
    }
    assert!(refused > 10_000);
    assert!(!matches!(
        only(&scene.say(BOB, connect(Kind::Audio)), BOB),
        ServerMessage::Error { .. }
    ));
}
