//! publish, unpublish, rollover counters, the active speaker.

use super::*;

#[test]
fn publishing_gives_each_layer_a_label_and_tells_the_others() {
    let mut scene = Scene::of_two();
    let heard = scene.say(ANN, video(3));
    let ServerMessage::Published { stream, kind: Kind::Video, ssrcs } = only(&heard, ANN) else {
        panic!("{:?}", heard[&ANN].messages)
    };
    let (id, layers) = added(only(&heard, BOB));
    assert_eq!(id, *stream);
    assert_eq!(layers.iter().map(|layer| layer.ssrc).collect::<Vec<_>>(), *ssrcs);
    let distinct: BTreeSet<Ssrc> = ssrcs.iter().copied().collect();
    assert_eq!(distinct.len(), 3);
    assert!(ssrcs.iter().all(|ssrc| ssrc.0 >= 256));
    assert_eq!(scene.orders(), ["add layer 0", "add layer 1", "add layer 2"]);
}

#[test]
fn a_viewer_may_not_publish() {
    let mut scene = Scene::new();
    scene.join(ANN, Claims { role: Role::Viewer, ..claims("m", "ann") });
    scene.say(ANN, connect(Kind::Video));
    assert_eq!(refusal(&scene.say(ANN, video(1)), ANN), ErrorCode::NotAllowed);
}

#[test]
fn publishing_needs_a_token_for_the_kind_and_a_link() {
    let mut scene = Scene::new();
    scene.join(ANN, Claims { kinds: vec![Kind::Video], ..claims("m", "ann") });
    assert_eq!(refusal(&scene.say(ANN, video(1)), ANN), ErrorCode::NoLink);
    assert_eq!(refusal(&scene.say(ANN, audio()), ANN), ErrorCode::NotAllowed);
}

#[test]
fn one_stream_a_kind() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    assert_eq!(refusal(&scene.say(ANN, video(1)), ANN), ErrorCode::AlreadyPublished);
    scene.published(ANN, audio());
    scene.published(ANN, publish(Kind::Content, vec![layer(Codec::Av1, 1)]));
    scene.say(ANN, ClientMessage::Unpublish { stream });
    scene.published(ANN, video(1));
}

#[test]
fn layers_are_checked() {
    let offer = |change: &dyn Fn(&mut LayerOffer)| {
        let mut offer = layer(Codec::Vp8, 1_000);
        change(&mut offer);
        publish(Kind::Video, vec![layer(Codec::Vp8, 1_000), offer])
    };
    let cases = [
        (video(0), ErrorCode::BadMessage),
        (video(wire::limits::LAYERS_MAX + 1), ErrorCode::LimitReached),
        (offer(&|layer| layer.payload_type = 95), ErrorCode::BadMessage),
        (offer(&|layer| layer.payload_type = 128), ErrorCode::BadMessage),
        (offer(&|layer| layer.codec = Codec::Opus), ErrorCode::BadMessage),
        (publish(Kind::Audio, vec![layer(Codec::Vp8, 1)]), ErrorCode::BadMessage),
        (offer(&|layer| layer.max_bitrate = Bitrate(0)), ErrorCode::BadMessage),
        (offer(&|layer| layer.max_bitrate = Bitrate(50_000_001)), ErrorCode::LimitReached),
    ];
    let mut scene = Scene::of_two();
    for (message, code) in cases {
        assert_eq!(refusal(&scene.say(ANN, message.clone()), ANN), code, "{message:?}");
    }
    assert!(scene.orders().is_empty());
    scene.published(ANN, video(wire::limits::LAYERS_MAX));
}

#[test]
fn unpublishing_ends_the_stream_for_everybody() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(2));
    scene.say(BOB, subscribe(stream, 0));
    scene.orders.clear();
    let heard = scene.say(ANN, ClientMessage::Unpublish { stream });
    assert_eq!(only(&heard, BOB), &ServerMessage::StreamRemoved { stream });
    assert_eq!(scene.orders(), ["unroute 0 > 4", "remove layer 0", "remove layer 1"]);
    let heard = scene.say(BOB, ClientMessage::Unsubscribe { stream });
    assert_eq!(refusal(&heard, BOB), ErrorCode::UnknownStream);
}

#[test]
fn only_its_publisher_ends_a_stream() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    let unpublish = ClientMessage::Unpublish { stream };
    assert_eq!(refusal(&scene.say(BOB, unpublish.clone()), BOB), ErrorCode::NotAllowed);
    scene.join(CAT, claims("other", "cat"));
    assert_eq!(refusal(&scene.say(CAT, unpublish), CAT), ErrorCode::UnknownStream);
}

#[test]
fn latecomers_are_told_the_rollover_counter() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    let layer = scene.layer(stream, 0);
    scene.orders.clear();
    scene.report(Event::Rollover { layer, roc: 1 });
    scene.report(Event::Rollover { layer, roc: 2 });
    scene.report(Event::Rollover { layer, roc: 1 });
    assert_eq!(
        scene.orders(),
        ["rollover 0 = 1", "rollover 0 = 2"],
        "a late report is no step back"
    );
    let heard = scene.join(CAT, claims("m", "cat"));
    assert_eq!(added(&heard[&CAT].messages[1]).1[0].roc, 2);
    let heard = scene.say(BOB, subscribe(stream, 0));
    assert_eq!(only(&heard, BOB), &ServerMessage::Subscribed { stream, layer: 0, roc: 2 });
}

#[test]
fn everybody_hears_once_who_speaks() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, audio());
    let layer = scene.layer(stream, 0);
    let heard = scene.report(Event::Level { layer, level: 20, voice: true });
    let speaks = ServerMessage::ActiveSpeaker { participant: "ann".into() };
    assert_eq!(only(&heard, ANN), &speaks);
    assert_eq!(only(&heard, BOB), &speaks);
    assert!(scene.report(Event::Level { layer, level: 20, voice: true }).is_empty());
}

#[test]
fn who_ends_their_audio_and_begins_again_speaks_anew() {
    let mut scene = Scene::of_two();
    for _ in 0..2 {
        let (stream, _) = scene.published(ANN, audio());
        let layer = scene.layer(stream, 0);
        let heard = scene.report(Event::Level { layer, level: 20, voice: true });
        assert!(matches!(only(&heard, BOB), ServerMessage::ActiveSpeaker { .. }));
        scene.say(ANN, ClientMessage::Unpublish { stream });
    }
}

#[test]
fn reports_of_layers_that_are_gone_are_passed_over() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(2));
    let (layer, to, link) =
        (scene.layer(stream, 0), scene.layer(stream, 1), scene.link(BOB, Kind::Video));
    scene.say(ANN, ClientMessage::Unpublish { stream });
    let (next, _) = scene.published(ANN, audio());
    assert_ne!(scene.layer(next, 0), layer);
    scene.orders.clear();
    for event in [
        Event::Level { layer, level: 0, voice: true },
        Event::Rollover { layer, roc: 9 },
        Event::Switched { from: layer, to, link },
    ] {
        assert!(scene.report(event).is_empty());
    }
    assert!(scene.orders().is_empty());
}
