//! What media must survive: a new port, a dropped control channel, loss.

use crate::stage::{Stage, assert_complete, call, digests, record, recorder};
use client::{Rebinding, no_progress};
use std::future::pending;
use std::time::Duration;
use wire::Kind;

/// Waits until a recorder has got so many frames.
async fn frames(recorder: &client::Recorder, count: u64) {
    while recorder.frames() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_changes_mid_stream_loses_nothing_when_it_is_noticed() {
    let duration = Duration::from_secs(4);
    let stage = Stage::start();
    let publisher = stage.publisher(call(), duration).await;
    let recorder = recorder(stage.udp("recorder")).await;
    assert!(recorder.wait_for_streams(2, crate::stage::PATIENCE).await);
    let mut links = Vec::new();
    for kind in [Kind::Audio, Kind::Video] {
        links.push((publisher.link(kind).unwrap(), recorder.link(kind).unwrap()));
    }
    let publishing =
        tokio::spawn(async move { publisher.run(pending(), &no_progress()).await.unwrap() });
    frames(&recorder, 60).await;
    let recording = record(recorder, 2).await;
    for (published, _) in &links {
        published.rebind(Rebinding::Noticed).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    for (_, recorded) in &links {
        let before = recorded.report().await.unwrap();
        let port = recorded.rebind(Rebinding::Noticed).await.unwrap().port();
        assert_ne!(before.local.port(), port);
    }
    drop(links);
    let sent = publishing.await.unwrap();
    assert!(
        sent.links.iter().all(|link| link.rebound == 1 && link.mapped.port() == link.local.port())
    );
    assert_complete(&recording.await.unwrap(), &call(), duration);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_changes_behind_a_nat_heals_within_seconds() {
    let duration = Duration::from_secs(9);
    let stage = Stage::start();
    let publisher = stage.publisher(call(), duration).await;
    let recorder = recorder(stage.udp("recorder")).await;
    assert!(recorder.wait_for_streams(2, crate::stage::PATIENCE).await);
    let published = publisher.link(Kind::Video).unwrap();
    let recorded = recorder.link(Kind::Audio).unwrap();
    let publishing = tokio::spawn(async move {
        publisher.run(pending(), &no_progress()).await.unwrap();
    });
    frames(&recorder, 60).await;
    published.rebind(Rebinding::Silent).await.unwrap();
    recorded.rebind(Rebinding::Silent).await.unwrap();
    drop((published, recorded));
    let report = record(recorder, 2).await.await.unwrap();
    publishing.await.unwrap();
    for stream in &report.streams {
        let source = call().into_iter().find(|source| source.kind == stream.kind).unwrap();
        let all = digests(&source.layers[0], duration);
        // The outage is shorter than three seconds, and the last second is whole.
        assert!(stream.digests.len() * 9 > all.len() * 6, "{stream:?}");
        let tail = stream.digests.len() - 25;
        assert!(all.ends_with(&stream.digests[tail..]), "{stream:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_channel_that_drops_resumes_and_media_does_not_stop() {
    let duration = Duration::from_secs(4);
    let stage = Stage::start();
    let publisher = stage.publisher(call(), duration).await;
    let recorder = recorder(stage.udp("recorder")).await;
    assert!(recorder.wait_for_streams(2, crate::stage::PATIENCE).await);
    let sessions = [publisher.session().clone(), recorder.session().clone()];
    let publishing =
        tokio::spawn(async move { publisher.run(pending(), &no_progress()).await.unwrap() });
    frames(&recorder, 30).await;
    let recording = record(recorder, 2).await;
    for session in &sessions {
        session.drop_channel().await;
    }
    drop(sessions);
    assert_eq!(publishing.await.unwrap().resumed, 1);
    let report = recording.await.unwrap();
    assert_eq!(report.resumed, 1);
    assert_complete(&report, &call(), duration);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_vanishes_fails_and_who_records_it_goes_on() {
    let duration = Duration::from_secs(60);
    let stage = Stage::start();
    let publisher = stage.publisher(call(), duration).await;
    let recorder = recorder(stage.udp("recorder")).await;
    assert!(recorder.wait_for_streams(2, crate::stage::PATIENCE).await);
    let session = publisher.session().clone();
    let links = [Kind::Audio, Kind::Video].map(|kind| publisher.link(kind).unwrap());
    let publishing = tokio::spawn(async move { publisher.run(pending(), &no_progress()).await });
    frames(&recorder, 30).await;
    links.iter().for_each(client::Link::vanish);
    session.vanish().await;
    assert!(publishing.await.unwrap().is_err(), "its links are gone");
    // The recorder lives on, and leaves cleanly while the other may still come back.
    let report = recorder.run(async {}, None, &no_progress()).await.unwrap();
    assert_eq!(report.streams.len(), 2);
}
