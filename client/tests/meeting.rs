//! Clients of a real MMR: what is published arrives, over every transport, whatever happens on the way.
#![allow(clippy::unwrap_used)] // a test may fail by panic

mod stage;

use client::{IpChoice, TransportChoice, no_progress};
use stage::{Stage, assert_complete, call, record, recorder};
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
