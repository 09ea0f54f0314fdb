//! connect, and what workers report of links.

use super::*;

fn credentials(message: &ServerMessage) -> (String, String) {
    match message {
        ServerMessage::Link { ufrag, password, .. } => (ufrag.clone(), password.0.clone()),
        other => panic!("expected link, heard {other:?}"),
    }
}

#[test]
fn connecting_gives_credentials_after_the_workers_know_them() {
    let mut scene = Scene::new();
    scene.join(ANN, claims("m", "ann"));
    scene.meetings.handle_message(scene.now, ANN, connect(Kind::Audio));
    let Some(Output::Order(Order::AddLink(link))) = scene.meetings.poll_output() else {
        panic!("the order comes first")
    };
    let Some(Output::Message(ANN, message)) = scene.meetings.poll_output() else {
        panic!("then the answer")
    };
    let (ufrag, password) = credentials(&message);
    assert_eq!(ufrag.as_bytes(), link.ufrag);
    assert_eq!(password, link.password);
    assert!(password.len() >= 22, "RFC 8445 §5.3");
    assert_eq!(link.kind, Kind::Audio);
}

#[test]
fn connecting_again_gives_the_same_link() {
    let mut scene = Scene::of_two();
    let first = credentials(only(&scene.say(ANN, connect(Kind::Audio)), ANN));
    let second = credentials(only(&scene.say(ANN, connect(Kind::Audio)), ANN));
    assert_eq!(first, second);
    assert!(scene.orders().is_empty());
    let video = credentials(only(&scene.say(ANN, connect(Kind::Video)), ANN));
    assert_ne!(first, video);
}

#[test]
fn a_kind_the_token_does_not_name_can_not_be_connected() {
    let mut scene = Scene::new();
    scene.join(ANN, Claims { kinds: vec![Kind::Audio], ..claims("m", "ann") });
    let heard = scene.say(ANN, connect(Kind::Video));
    assert_eq!(refusal(&heard, ANN), ErrorCode::NotAllowed);
    assert!(!heard[&ANN].closed);
    assert!(scene.orders().is_empty());
}

#[test]
fn bound_links_are_counted_by_transport() {
    let mut scene = Scene::of_two();
    scene.bind(ANN, Kind::Audio, udp(1));
    scene.bind(BOB, Kind::Audio, stream_path(1));
    assert_eq!(scene.meetings.summary().links, [1, 0, 1]);
    scene.bind(ANN, Kind::Audio, udp(2));
    assert_eq!(scene.meetings.summary().links, [1, 0, 1]);
    let link = scene.link(ANN, Kind::Audio);
    assert_eq!(scene.meetings.path(link), Some(udp(2)));
    scene.report(Event::ConsentLost { link });
    scene.report(Event::ConsentLost { link });
    assert_eq!(scene.meetings.summary().links, [0, 0, 1]);
    assert_eq!(scene.meetings.path(link), None);
    let audio = scene.meetings.summary().kinds[Kind::Audio.index()];
    assert_eq!((audio.links, audio.links_waiting), (1, 1));
}

#[test]
fn a_connection_its_link_no_longer_needs_is_closed() {
    let mut scene = Scene::of_two();
    scene.bind(ANN, Kind::Audio, stream_path(1));
    scene.bind(ANN, Kind::Audio, stream_path(1));
    assert!(scene.closed_paths.is_empty());
    scene.bind(ANN, Kind::Audio, stream_path(2));
    assert_eq!(scene.closed_paths, [stream_path(1)]);
    scene.bind(ANN, Kind::Audio, udp(1));
    assert_eq!(scene.closed_paths, [stream_path(1), stream_path(2)]);
    scene.bind(ANN, Kind::Audio, stream_path(3));
    scene.say(ANN, ClientMessage::Leave);
    assert_eq!(scene.closed_paths.last(), Some(&stream_path(3)));
}

#[test]
fn a_connection_bound_to_a_link_that_is_gone_is_closed() {
    let mut scene = Scene::of_two();
    let link = scene.link(ANN, Kind::Audio);
    scene.say(ANN, ClientMessage::Leave);
    scene.report(Event::Bound { link, path: stream_path(1), worker: WorkerId(0) });
    assert_eq!(scene.closed_paths, [stream_path(1)]);
    scene.report(Event::ConsentLost { link });
    assert_eq!(scene.meetings.summary().links, [0; 3]);
}

#[test]
fn a_link_that_lost_consent_can_be_bound_again() {
    let mut scene = Scene::of_two();
    scene.bind(ANN, Kind::Audio, udp(1));
    let link = scene.link(ANN, Kind::Audio);
    scene.report(Event::ConsentLost { link });
    scene.bind(ANN, Kind::Audio, udp(1));
    assert_eq!(scene.meetings.path(link), Some(udp(1)));
}
