//! subscribe, unsubscribe, and switching layers.

use super::*;

/// Ann publishes video in three layers, Bob (link 4) gets layer 0.
fn subscribed() -> (Scene, StreamId) {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(3));
    let heard = scene.say(BOB, subscribe(stream, 0));
    assert_eq!(only(&heard, BOB), &ServerMessage::Subscribed { stream, layer: 0, roc: 0 });
    scene.orders.clear();
    (scene, stream)
}

fn switched(scene: &mut Scene, stream: StreamId, from: usize, to: usize) -> Option<u8> {
    let event = Event::Switched {
        from: scene.layer(stream, from),
        to: scene.layer(stream, to),
        link: scene.link(BOB, Kind::Video),
    };
    match scene.report(event).get(&BOB).map(|heard| &heard.messages[..]) {
        None => None,
        Some([ServerMessage::Subscribed { layer, .. }]) => Some(*layer),
        Some(other) => panic!("heard {other:?}"),
    }
}

#[test]
fn subscribing_makes_a_route_to_the_link_of_the_kind() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(3));
    scene.orders.clear();
    let heard = scene.say(BOB, subscribe(stream, 200));
    let answer = ServerMessage::Subscribed { stream, layer: 2, roc: 0 };
    assert_eq!(only(&heard, BOB), &answer, "the highest there is");
    assert_eq!(scene.orders(), ["route 2 > 4"]);
    assert!(!heard.contains_key(&ANN));
}

#[test]
fn a_viewer_may_subscribe() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    scene.join(CAT, Claims { role: Role::Viewer, ..claims("m", "cat") });
    assert_eq!(refusal(&scene.say(CAT, subscribe(stream, 0)), CAT), ErrorCode::NoLink);
    scene.say(CAT, connect(Kind::Video));
    let heard = scene.say(CAT, subscribe(stream, 0));
    assert!(matches!(only(&heard, CAT), ServerMessage::Subscribed { .. }));
}

#[test]
fn a_stream_of_another_meeting_is_unknown() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    scene.join(CAT, claims("other", "cat"));
    scene.say(CAT, connect(Kind::Video));
    scene.orders.clear();
    for message in [subscribe(stream, 0), ClientMessage::Unsubscribe { stream }] {
        assert_eq!(refusal(&scene.say(CAT, message), CAT), ErrorCode::UnknownStream);
    }
    let unknown = subscribe(StreamId(99), 0);
    assert_eq!(refusal(&scene.say(BOB, unknown), BOB), ErrorCode::UnknownStream);
    assert!(scene.orders().is_empty());
}

#[test]
fn ones_own_stream_and_kinds_outside_the_token_are_not_allowed() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    assert_eq!(refusal(&scene.say(ANN, subscribe(stream, 0)), ANN), ErrorCode::NotAllowed);
    scene.join(CAT, Claims { kinds: vec![Kind::Audio], ..claims("m", "cat") });
    assert_eq!(refusal(&scene.say(CAT, subscribe(stream, 0)), CAT), ErrorCode::NotAllowed);
}

#[test]
fn another_layer_takes_over_when_a_worker_says_so_and_then_on_all_workers() {
    let (mut scene, stream) = subscribed();
    let heard = scene.say(BOB, subscribe(stream, 2));
    let still = ServerMessage::Subscribed { stream, layer: 0, roc: 0 };
    assert_eq!(only(&heard, BOB), &still);
    assert_eq!(scene.orders(), ["switch 0 to 2 > 4"]);
    assert_eq!(switched(&mut scene, stream, 0, 2), Some(2));
    assert_eq!(scene.orders(), ["unroute 0 > 4", "route 2 > 4"]);
    assert_eq!(switched(&mut scene, stream, 0, 2), None, "said by another worker");
    assert!(scene.orders().is_empty());
}

#[test]
fn asking_again_for_the_same_layer_is_answered_and_changes_nothing() {
    let (mut scene, stream) = subscribed();
    scene.say(BOB, subscribe(stream, 1));
    scene.orders.clear();
    let heard = scene.say(BOB, subscribe(stream, 1));
    assert!(matches!(only(&heard, BOB), ServerMessage::Subscribed { layer: 0, .. }));
    assert!(scene.orders().is_empty());
}

#[test]
fn a_changed_mind_starts_all_workers_from_the_same_layer() {
    let (mut scene, stream) = subscribed();
    scene.say(BOB, subscribe(stream, 1));
    scene.orders.clear();
    scene.say(BOB, subscribe(stream, 2));
    assert_eq!(scene.orders(), ["unroute 1 > 4", "route 0 > 4", "switch 0 to 2 > 4"]);
    assert_eq!(switched(&mut scene, stream, 0, 1), None, "that was asked before");
    scene.say(BOB, subscribe(stream, 0));
    assert_eq!(scene.orders(), ["unroute 2 > 4", "route 0 > 4"]);
    assert_eq!(switched(&mut scene, stream, 0, 2), None);
    assert!(scene.orders().is_empty());
}

#[test]
fn audio_changes_layers_at_once() {
    let mut scene = Scene::of_two();
    let two = publish(Kind::Audio, vec![layer(Codec::Opus, 1), layer(Codec::Opus, 2)]);
    let (stream, _) = scene.published(ANN, two);
    scene.say(BOB, subscribe(stream, 0));
    scene.orders.clear();
    let heard = scene.say(BOB, subscribe(stream, 1));
    assert!(matches!(only(&heard, BOB), ServerMessage::Subscribed { layer: 1, .. }));
    assert_eq!(scene.orders(), ["unroute 0 > 3", "route 1 > 3"]);
}

#[test]
fn unsubscribing_removes_the_route_and_what_waits() {
    let (mut scene, stream) = subscribed();
    scene.say(BOB, subscribe(stream, 1));
    scene.orders.clear();
    assert!(scene.say(BOB, ClientMessage::Unsubscribe { stream }).is_empty());
    assert_eq!(scene.orders(), ["unroute 1 > 4", "unroute 0 > 4"]);
    let heard = scene.say(BOB, ClientMessage::Unsubscribe { stream });
    assert_eq!(refusal(&heard, BOB), ErrorCode::UnknownStream);
    assert_eq!(switched(&mut scene, stream, 0, 1), None);
    assert_eq!(scene.meetings.routes, 0);
}
