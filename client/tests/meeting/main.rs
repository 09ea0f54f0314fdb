//! Clients of a real MMR: what is published arrives, over every transport, whatever happens on the way.
#![allow(clippy::unwrap_used)] // a test may fail by panic

mod bridge;
mod command;
mod network;
mod stage;
mod survival;

use client::{IpChoice, Source, TransportChoice, no_progress};
use stage::{Stage, assert_complete, call, clip, record, recorder, source};
use std::future::pending;
use std::time::Duration;
use wire::{Kind, Transport};

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_arrives_over_every_transport_and_ip_version() {
    let duration = Duration::from_secs(3);
    let stage = Stage::start();
    let publisher = stage.publisher(call(), duration).await;
    let mut recorders = Vec::new();
    for transport in Transport::ALL {
        for ip in [IpChoice::V4, IpChoice::V6] {
            let name = format!("{transport}-{ip:?}");
            let join = stage.join(&name, TransportChoice::Only(transport), ip);
            recorders.push((transport, record(recorder(join).await, 2).await));
        }
    }
    let sent = publisher.run(pending(), &no_progress()).await.unwrap();
    assert_eq!(sent.streams.len(), 2);
    for (transport, recording) in recorders {
        let report = recording.await.unwrap();
        assert_complete(&report, &call(), duration);
        for stream in &report.streams {
            assert_eq!(stream.transport, transport);
            let latency = stream.latency_us.unwrap();
            assert!(latency.p50 > 0 && latency.p50 < 1_000_000, "{latency:?}");
            let expected = if stream.kind == Kind::Audio { 46 } else { 36 };
            if let Some(dscp) = stream.dscp {
                assert_eq!(dscp.iter().collect::<Vec<_>>(), [expected], "{stream:?}");
            } else {
                assert_ne!(transport, Transport::Udp, "UDP always tells");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_shared_screens_and_layers_arrive_as_they_were() {
    let duration = Duration::from_millis(2_500);
    let stage = Stage::start();
    let layers = vec![clip("clip-low.ivf"), clip("clip-av1.ivf")];
    let sources = [Source { kind: Kind::Video, layers }, source(Kind::Content, "slides.ivf")];
    let publisher = stage.publisher(sources.to_vec(), duration).await;
    let high = record(recorder(stage.udp("high")).await, 2).await;
    let options = client::RecordOptions {
        join: stage.udp("low"),
        kinds: vec![Kind::Video],
        max_layer: 0,
        folder: None,
    };
    let low = record(client::Recorder::join(options).await.unwrap(), 1).await;
    publisher.run(pending(), &no_progress()).await.unwrap();
    assert_complete(&high.await.unwrap(), &sources, duration);
    assert_complete(&low.await.unwrap(), &[source(Kind::Video, "clip-low.ivf")], duration);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_joiner_gets_the_meeting_as_it_is_then() {
    let duration = Duration::from_secs(5);
    let stage = Stage::start();
    let publisher = stage.publisher(call(), duration).await;
    let publishing = tokio::spawn(async move {
        publisher.run(pending(), &no_progress()).await.unwrap();
    });
    // Until a first recorder has seen two seconds of it.
    let early = recorder(stage.udp("early")).await;
    while early.frames() < 150 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let late = record(recorder(stage.udp("late")).await, 2).await;
    publishing.await.unwrap();
    let report = late.await.unwrap();
    for stream in &report.streams {
        let source = call().into_iter().find(|source| source.kind == stream.kind).unwrap();
        let all = stage::digests(&source.layers[0], duration);
        assert!(stream.frames > 30 && stream.packets.lost == 0, "{stream:?}");
        assert!(all.ends_with(&stream.digests), "the rest of the stream, without a hole");
    }
}
