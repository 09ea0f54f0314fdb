//! join, resume, leave, disconnect, draining.

use super::*;

#[test]
fn a_newcomer_hears_the_roster_and_the_others_hear_of_it() {
    let mut scene = Scene::new();
    let heard = scene.join(ANN, claims("m", "ann"));
    assert!(matches!(only(&heard, ANN), ServerMessage::Joined { v: 1, participant, roster, .. }
            if participant == "ann" && roster.is_empty()));
    let heard = scene.join(BOB, claims("m", "bob"));
    assert!(
        matches!(only(&heard, BOB), ServerMessage::Joined { roster, .. } if roster == &["ann"])
    );
    let joined = ServerMessage::ParticipantJoined { participant: "bob".into() };
    assert_eq!(only(&heard, ANN), &joined);
}

#[test]
fn meetings_do_not_hear_of_each_other() {
    let mut scene = Scene::new();
    scene.join(ANN, claims("m", "ann"));
    let heard = scene.join(BOB, claims("n", "bob"));
    assert!(!heard.contains_key(&ANN));
    assert!(matches!(only(&heard, BOB), ServerMessage::Joined { roster, .. } if roster.is_empty()));
    assert_eq!(scene.meetings.summary().meetings, 2);
}

#[test]
fn a_newcomer_hears_of_streams_and_of_the_speaker() {
    let mut scene = Scene::of_two();
    let (stream, ssrcs) = scene.published(ANN, audio());
    let layer = scene.layer(stream, 0);
    scene.report(Event::Level { layer, level: 20, voice: true });
    let heard = scene.join(CAT, claims("m", "cat"));
    let [ServerMessage::Joined { .. }, message, speaker] = &heard[&CAT].messages[..] else {
        panic!("heard {:?}", heard[&CAT].messages)
    };
    let (id, layers) = added(message);
    assert_eq!((id, layers[0].ssrc), (stream, ssrcs[0]));
    assert_eq!(speaker, &ServerMessage::ActiveSpeaker { participant: "ann".into() });
}

#[test]
fn a_roster_too_long_for_one_message_goes_on_in_others() {
    let mut scene = Scene::with(MeetingsConfig { participants_per_meeting: 200, ..config() });
    for number in 0..150 {
        scene.join(ChannelId(100 + number), claims("m", &format!("p{number:03}")));
    }
    let heard = scene.join(ANN, claims("m", "ann"));
    let messages = &heard[&ANN].messages;
    let ServerMessage::Joined { roster, .. } = &messages[0] else { panic!("{messages:?}") };
    assert_eq!(roster.len(), crate::limits::ROSTER_MAX);
    assert_eq!(messages.len(), 1 + 150 - roster.len());
    let last = ServerMessage::ParticipantJoined { participant: "p149".into() };
    assert_eq!(messages.last(), Some(&last));
}

#[test]
fn the_first_message_must_be_join_or_resume() {
    let mut scene = Scene::new();
    let heard = scene.say(ANN, connect(Kind::Audio));
    assert_eq!(refusal(&heard, ANN), ErrorCode::OutOfOrder);
    assert!(heard[&ANN].closed);
}

#[test]
fn a_second_join_is_out_of_order_and_changes_nothing() {
    let mut scene = Scene::of_two();
    for heard in [
        scene.join(ANN, claims("m", "other")),
        scene.say(ANN, ClientMessage::Join { v: 1, token: "".into() }),
        scene.say(ANN, resume("x")),
    ] {
        assert_eq!(refusal(&heard, ANN), ErrorCode::OutOfOrder);
        assert!(!heard[&ANN].closed);
    }
    assert_eq!(scene.meetings.summary().participants, 2);
}

#[test]
fn who_is_in_the_meeting_can_not_join_again_under_the_same_name() {
    let mut scene = Scene::of_two();
    let heard = scene.join(CAT, claims("m", "ann"));
    assert_eq!(refusal(&heard, CAT), ErrorCode::AlreadyJoined);
    assert!(heard[&CAT].closed);
    assert!(!heard.contains_key(&ANN));
}

#[test]
fn who_dropped_may_come_back_with_a_new_token() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(1));
    scene.meetings.handle_disconnect(scene.now, ANN);
    let heard = scene.join(CAT, claims("m", "ann"));
    assert!(matches!(heard[&CAT].messages[0], ServerMessage::Joined { .. }));
    let expected = [
        ServerMessage::StreamRemoved { stream },
        ServerMessage::ParticipantLeft { participant: "ann".into() },
        ServerMessage::ParticipantJoined { participant: "ann".into() },
    ];
    assert_eq!(heard[&BOB].messages, expected);
}

#[test]
fn a_refused_first_message_closes_the_channel() {
    let mut scene = Scene::new();
    scene.meetings.refuse(ANN, ErrorCode::BadToken, "no".into());
    let heard = scene.hear();
    assert_eq!(refusal(&heard, ANN), ErrorCode::BadToken);
    assert!(heard[&ANN].closed);
}

#[test]
fn a_resumed_participant_keeps_everything_and_hears_the_state() {
    let mut scene = Scene::new();
    let secret = session(&scene.join(ANN, claims("m", "ann")), ANN);
    scene.join(BOB, claims("m", "bob"));
    for channel in [ANN, BOB] {
        scene.say(channel, connect(Kind::Video));
    }
    scene.published(ANN, video(1));
    let (stream, _) = scene.published(BOB, video(1));
    scene.say(ANN, subscribe(stream, 0));
    scene.orders.clear();
    scene.meetings.handle_disconnect(scene.now, ANN);
    scene.wait(Duration::from_secs(29));
    let heard = scene.say(CAT, resume(&secret));
    assert_ne!(session(&heard, CAT), secret);
    let messages = &heard[&CAT].messages;
    assert_eq!(added(&messages[1]).0, stream);
    assert_eq!(messages[2], ServerMessage::Subscribed { stream, layer: 0, roc: 0 });
    assert_eq!(messages.len(), 3);
    assert!(scene.orders().is_empty(), "media goes on untouched");
    assert_eq!(scene.meetings.poll_timeout(), None);
}

#[test]
fn who_does_not_resume_in_time_has_left() {
    let mut scene = Scene::new();
    let secret = session(&scene.join(ANN, claims("m", "ann")), ANN);
    scene.join(BOB, claims("m", "bob"));
    scene.meetings.handle_disconnect(scene.now, ANN);
    assert_eq!(scene.meetings.poll_timeout(), Some(scene.now + crate::limits::RESUME_TIMEOUT));
    assert!(scene.wait(Duration::from_millis(29_999)).is_empty());
    let heard = scene.wait(Duration::from_millis(1));
    let left = ServerMessage::ParticipantLeft { participant: "ann".into() };
    assert_eq!(only(&heard, BOB), &left);
    let heard = scene.say(CAT, resume(&secret));
    assert_eq!(refusal(&heard, CAT), ErrorCode::UnknownSession);
    assert!(heard[&CAT].closed);
}

#[test]
fn resuming_takes_over_from_a_channel_nobody_noticed_to_be_dead() {
    let mut scene = Scene::new();
    let secret = session(&scene.join(ANN, claims("m", "ann")), ANN);
    let heard = scene.say(BOB, resume(&secret));
    assert!(heard[&ANN].closed);
    scene.meetings.handle_disconnect(scene.now, ANN);
    assert_eq!(scene.meetings.poll_timeout(), None, "the new channel is not the old one");
    assert_eq!(refusal(&scene.say(ANN, ClientMessage::Leave), ANN), ErrorCode::OutOfOrder);
}

#[test]
fn a_session_is_good_until_the_client_shows_that_it_knows_the_next() {
    let mut scene = Scene::new();
    let first = session(&scene.join(ANN, claims("m", "ann")), ANN);
    let second = session(&scene.say(BOB, resume(&first)), BOB);
    // The answer was lost with its channel: the client knows the first only.
    let third = session(&scene.say(CAT, resume(&first)), CAT);
    let heard = scene.say(ChannelId(4), resume(&second));
    assert_eq!(refusal(&heard, ChannelId(4)), ErrorCode::UnknownSession);
    scene.say(CAT, connect(Kind::Audio));
    let heard = scene.say(ChannelId(5), resume(&first));
    assert_eq!(refusal(&heard, ChannelId(5)), ErrorCode::UnknownSession);
    let heard = scene.say(ChannelId(6), resume(&third));
    assert!(matches!(heard[&ChannelId(6)].messages[0], ServerMessage::Joined { .. }));
}

#[test]
fn another_version_can_not_resume() {
    let mut scene = Scene::new();
    let secret = session(&scene.join(ANN, claims("m", "ann")), ANN);
    let heard = scene.say(BOB, ClientMessage::Resume { v: 2, session: secret.into() });
    assert_eq!(refusal(&heard, BOB), ErrorCode::BadVersion);
    assert!(heard[&BOB].closed && !heard.contains_key(&ANN));
}

#[test]
fn leaving_closes_the_channel_and_leaves_nothing_behind() {
    let mut scene = Scene::of_two();
    let (stream, _) = scene.published(ANN, video(2));
    scene.say(BOB, subscribe(stream, 1));
    scene.bind(ANN, Kind::Video, udp(1));
    let heard = scene.say(ANN, ClientMessage::Leave);
    assert!(heard[&ANN].closed);
    let expected = [
        ServerMessage::StreamRemoved { stream },
        ServerMessage::ParticipantLeft { participant: "ann".into() },
    ];
    assert_eq!(heard[&BOB].messages, expected);
    scene.say(BOB, ClientMessage::Leave);
    scene.assert_empty();
}

#[test]
fn draining_turns_newcomers_away_and_tells_everybody() {
    let mut scene = Scene::new();
    let secret = session(&scene.join(ANN, claims("m", "ann")), ANN);
    scene.meetings.drain(scene.now, Duration::from_secs(600));
    let heard = scene.hear();
    assert_eq!(only(&heard, ANN), &ServerMessage::Draining { deadline_s: 600 });
    let heard = scene.join(BOB, claims("m", "bob"));
    assert_eq!(refusal(&heard, BOB), ErrorCode::Draining);
    assert!(heard[&BOB].closed);
    scene.wait(Duration::from_secs(100));
    let heard = scene.say(CAT, resume(&secret));
    let left = ServerMessage::Draining { deadline_s: 500 };
    assert_eq!(heard[&CAT].messages.last(), Some(&left), "who resumes hears what is left");
    scene.meetings.undrain();
    let heard = scene.join(BOB, claims("m", "bob"));
    assert!(matches!(heard[&BOB].messages[0], ServerMessage::Joined { .. }));
}
